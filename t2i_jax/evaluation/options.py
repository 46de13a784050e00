"""The options that protocols look at which are more than a table of numbers, beside protocol, run
and folder. Apart from what does the work (`t2i_jax.evaluation.kinds`), which takes long to import.
"""

_DRAWN = ("seed", "step", "data_dir", "split", "captions_file", "batch_size")
_SEEN = ("features", "weights", "extractor_batch_size")

READS = {
    "tsne": ("num", *_DRAWN, *_SEEN),
    "text_probe": ("num", "seed"),
    "retrieval": ("num", "seed", "step", "watch", "data_dir", "split"),
    "toy_attributes": ("num", "seed", "step", "watch", "classifier", "batch_size", *_SEEN),
    "rating": ("num", "against", "ratings", *_DRAWN),
    "nearest": ("num", *_DRAWN, *_SEEN),
    "failures": ("num", "encoder", "extractor_batch_size", *_DRAWN),
    "grid": ("num", *_DRAWN),
    "diversity": ("num", "watch", *_DRAWN, *_SEEN),
    "soa": (*_DRAWN, "images", "detections", "captions_folder", "save_samples"),
    "style_verification": ("num", "seed", "data_dir", "split", "groups", "encoder"),
}
