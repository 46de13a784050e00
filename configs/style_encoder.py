"""The style encoder S of GAN-INT-CLS, which inverts a trained generator of one noise vector.

    t2i-jax train --config=style_encoder:cub --workdir=runs/style_cub \\
        --frozen.generator=runs/gan_int_cls_cub --encoder.source=runs/char_cnn_rnn_cub

Give it the data and the encoder that the generator was trained with, and its sizes:
--net.image_size, --net.noise_dim (DF-GAN, RAT-GAN and XMC-GAN have one noise vector, too).
Arguments: toy_birds (for the quick start's GAN), cub, flowers, coco, folder, folder_small (for a
GAN on photos of your own, see docs/own_photos.md), debug (seconds, with an untrained generator).
Then: t2i-jax sample --workdir=runs/gan_int_cls_cub \\
    --style_encoder=runs/style_cub --style=photo.jpg --caption="a red bird"
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base

ARGUMENTS = ("toy_birds", "cub", "flowers", "coco", *parts.FOLDERS, "debug")


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    parts.one_of(arg, ARGUMENTS)
    config = base()
    config.system = "style_encoder"
    config.net = {"image_size": 64, "channels": 64, "noise_dim": 100}
    config.loss = {"net": {"style": 1.0}}
    config.optim = {"net": adam(2e-4)}
    config.frozen = {"generator": "runs/gan_int_cls"}
    parts.char_cnn_rnn_text(config)
    config.data.update({"name": arg, "captions": 4})
    config.train.update({"duration": "100 epochs", "sample_every": "0 steps"})
    if arg == "coco":
        config.data.captions = 3
    elif arg == "toy_birds":
        toy_birds(config)
    elif arg in parts.FOLDERS:
        own_photos(config, arg)
    elif arg == "debug":
        debug(config)
    return config


def own_photos(config, arg: str) -> None:
    """Inverts gan_int_cls.py with the same argument."""
    config.data.update({"name": "folder", "captions": 1, "resize": "short_side"})
    parts.minilm_text(config)
    parts.folder_training(config, arg)
    config.train.update({"duration": "20k steps", "sample_every": "0 steps"})
    if arg == "folder_small":
        config.net.channels = 32
        config.data.batch = 24
        config.train.duration = "2k steps"


def toy_birds(config) -> None:
    """Inverts gan_int_cls.py:toy_birds_damsm."""
    config.net.update({"channels": 32, "noise_dim": 8})
    parts.damsm_captions(config)
    parts.toy_birds_data(config, name="toy_birds_mixed", batch=32, captions=1, truncate="head")
    config.recipe.degraded = True
    config.optim = {"net": adam(1e-3, schedule="cosine to 0.05 over 2000 steps")}
    config.train.duration = "2000 steps"


def debug(config) -> None:
    """Tiny everything, on a few embedded birds, inverting an untrained generator."""
    config.net.update({"image_size": 32, "channels": 4, "noise_dim": 4})
    config.frozen.generator = "random"
    config.generator = {
        "module": "t2i_jax.models.gan_int_cls:Generator",
        "image_size": 32,
        "channels": 4,
        "text_dim": 8,
        "noise_dim": 4,
    }
    config.data.captions = 2
    parts.debug_training(config, size=32)
    parts.debug_text(config)
