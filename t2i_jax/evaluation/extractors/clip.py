"""CLIP as a dual encoder that no GAN of the library was trained with: what CLIPScore (Hessel et
al., EMNLP 2021, arXiv 2104.08718) and neutral R-precisions are measured by.
"""

import os

from t2i_jax import paths
from t2i_jax.evaluation.extractors import weight_files
from t2i_jax.evaluation.extractors.base import DualEncoder
from t2i_jax.evaluation.extractors.devices import on_all_devices
from t2i_jax.evaluation.extractors.pairs import pair
from t2i_jax.interop import clip, weights
from t2i_jax.training.networks import Network, digest

NAME = "clip"
FOLDER = "clip_vit_b32"
ORIGIN = "https://huggingface.co/openai/clip-vit-base-patch32"


def usual_folder() -> paths.Path:
    """Where the weights of ViT-B/32 are looked for."""
    return weight_files.cache() / FOLDER


def load(folder: str | os.PathLike | None = None, batch_size: int = 64) -> DualEncoder:
    """The CLIP in a folder of Hugging Face's; by default ViT-B/32 in `usual_folder`.

    Raises FileNotFoundError, with the files that belong there, where there is no folder, and
    ValueError as `t2i_jax.interop.clip.read`.
    """
    place = usual_folder() if folder is None else paths.path(folder)
    if not place.is_dir():
        raise FileNotFoundError(
            f"{place}: no weights of CLIP there. Of {ORIGIN} put config.json, pytorch_model.bin "
            "(or model.safetensors), preprocessor_config.json, vocab.json and merges.txt there"
        )
    model = clip.read(place)
    (image, image_variables), (text, text_variables) = model.image, model.text
    scaled, cut = model.preprocessing.scaled, model.preprocessing.cut
    of_pixels = on_all_devices(lambda v, x: image.apply(v, scaled(x)), image_variables, batch_size)
    of_ids = on_all_devices(text.apply, text_variables, batch_size)
    return pair(
        name=NAME,
        description=f"CLIP, patches of {image.patch} px, {image.layers} layers of {image.width}, "
        f"of {place}",
        preprocessing=str(model.preprocessing),
        identity=digest(Network(image, image_variables)),
        width=image.embedding,
        of_images=lambda images: of_pixels(cut(images)),
        tokenizer=model.tokenizer,
        of_ids=lambda ids, mask: of_ids(ids),
        parts={"image": weights.digest(image_variables), "text": weights.digest(text_variables)},
        source=str(place),
    )
