"""DAMSM, the text and image encoders of AttnGAN, DM-GAN, DR-GAN, RAT-GAN and DF-GAN (CVPR 2018).

    t2i-jax train --config=damsm:cub --workdir=runs/damsm_cub

Arguments: toy_birds (two CPU cores, minutes; reads the set toy_birds_mixed), cub, flowers, coco,
folder, folder_small (photos of your own, see docs/own_photos.md), debug (seconds). The vocabulary
is made of the training split's captions and kept in the run. The best checkpoint by retrieval on
the held-out split is kept, and used where the run is a source.

The image encoder is a compact network trained from scratch. The paper's, on a frozen Inception-v3,
is the argument with "_inception" after it, with torchvision's weights:

    --config=damsm:cub_inception --frozen.inception=inception_v3_google-0cc3c7bd.pth

"_nsfwjs" takes the part of an Inception-v3 that launch/fetch_weights.sh fetches, at half the side:

    --config=damsm:cub_nsfwjs --frozen.inception=$HOME/.cache/t2i_jax/weights/nsfwjs

"_minilm" at the end trains the image encoder alone, for the words and sentences of a frozen MiniLM
(docs/bert.md), or of another BERT: --encoder.source=FOLDER --image.embedding=768.
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base

ARGUMENTS = ("toy_birds", "cub", "flowers", "coco", *parts.FOLDERS, "debug")
_ENCODERS = "t2i_jax.encoders.damsm"


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    images = arg.removesuffix("_minilm")
    name = images.removesuffix("_inception").removesuffix("_nsfwjs")
    parts.one_of(name, ARGUMENTS, more=", also with '_inception' or '_nsfwjs', then '_minilm'")
    config = base()
    config.system = "damsm"
    config.text = {"word_dim": 300, "embedding": 256, "dropout": 0.5}
    config.image = {
        "module": f"{_ENCODERS}:CompactImageEncoder",
        "embedding": 256,
        "widths": (32, 64, 128, 256),
        "local_stages": 3,
    }
    config.recipe = {"form": "released", "gamma1": 4.0, "gamma2": 5.0, "gamma3": 10.0}
    config.loss = {
        "net": {
            "word_captions": 1.0,
            "word_images": 1.0,
            "sentence_captions": 1.0,
            "sentence_images": 1.0,
        }
    }
    config.optim = {
        "net": adam(
            2e-3,
            schedule="multiply 0.98 every 1 epochs",
            lr_floor=2e-4,
            clip={"text": 0.25},
            reset_every="1 epochs",
        )
    }
    config.data.update({"name": name, "size": 128, "batch": 48, "resize": "short_side"})
    config.data.box_crop = name == "cub"
    parts.words(config)
    config.evals = {"names": ("retrieval",), "records": 1000, "best": "retrieval/recall_at_1"}
    config.train.update(
        {
            "duration": "200 epochs",
            "log_every": "1 epochs",
            "sample_every": "0 steps",
            "checkpoint_every": "5 epochs",
        }
    )
    if name == "coco":
        config.tokenizer.length = 15
        config.train.duration = "100 epochs"
    elif name == "toy_birds":
        toy_birds(config)
    elif name in parts.FOLDERS:
        own_photos(config, name)
    elif name == "debug":
        debug(config)
    if name != images:
        inception(config)
    if images.endswith("_nsfwjs"):
        nsfwjs(config)
    if images != arg:
        minilm(config)
    return config


def inception(config) -> None:
    """The paper's image encoder at 299 px; only its two projections are trained."""
    config.image = {"module": f"{_ENCODERS}:ImageEncoder", "embedding": config.text.embedding}
    config.frozen = {"inception": "inception_v3_google-0cc3c7bd.pth"}
    config.optim.net.groups = {"image/inception": 0.0}
    config.data.size = 299


def nsfwjs(config) -> None:
    """ImageNet's blocks up to mixed5, with their published statistics, on 150 px."""
    config.image.update({"local_layer": "mixed5", "global_layer": "mixed5", "image_size": 150})
    config.image.update({"pool_counts_padding": False, "batch_statistics": False})
    config.frozen.inception = "nsfwjs"
    config.data.size = 150


def minilm(config) -> None:
    """Frozen words and sentences in the place of a text encoder that is trained."""
    del config.text, config.optim.net.clip["text"]
    parts.minilm_text(config)
    config.image.embedding = 384


def own_photos(config, name: str) -> None:
    """The lengths of CUB's epochs, in steps, whatever the number of photos."""
    config.data.name = "folder"
    config.optim.net.update({"schedule": "multiply 0.98 every 200 steps", "reset_every": ""})
    parts.folder_training(config, name)
    config.train.update({"duration": "20k steps", "sample_every": "0 steps"})
    if name == "folder_small":
        config.data.update({"size": 64, "batch": 24})
        config.text.update({"word_dim": 64, "embedding": 128})
        config.image.update({"embedding": 128, "widths": (16, 32, 64, 128)})
        config.train.duration = "2k steps"


def toy_birds(config) -> None:
    """Narrow encoders for two CPU cores, that hear every colour; see docs/attn_gan.md."""
    config.tokenizer.length = 24  # the longest captions whole
    config.text.update({"word_dim": 64, "embedding": 128, "dropout": 0.2})
    config.image.update({"embedding": 128, "widths": (16, 32, 64, 128), "pooled": False})
    config.optim.net = adam(4e-3, b1=0.9, schedule="cosine to 0.05 over 2000 steps")
    config.optim.net.update({"clip": {"text": 1.0}})
    parts.toy_encoder_data(config, size=64, batch=48)
    # Beside four terms of matching.
    config.loss.net.update({"text_attributes": 8.0, "image_attributes": 2.0})
    config.ema.half_life = "50 steps"
    config.evals.records = 500
    config.train.update(
        {"duration": "2000 steps", "log_every": "100 steps", "checkpoint_every": "250 steps"}
    )


def debug(config) -> None:
    """Tiny everything, on a few embedded birds."""
    config.text.update({"word_dim": 6, "embedding": 12, "dropout": 0.0})
    config.image.update({"embedding": 12, "widths": (4, 6, 8), "local_stages": 2})
    # At the full rate the second step is so steep that rounding shows in its losses.
    config.optim.net.update({"eps": 1e-4, "lr": 2e-4})
    parts.debug_training(config, size=32)
    config.evals.update({"names": (), "best": ""})
