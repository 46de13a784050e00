"""RAT-GAN (Ye et al., 2022): affine layers that a recurrent cell steers, a D that attends.

    t2i-jax train --config=rat_gan:cub --workdir=runs/rat_gan_cub \\
        --encoder.source=runs/damsm_cub

Arguments: toy_birds (two CPU cores), cub, flowers, coco, folder (the paper's size, 256 px: a GPU of
24 GB), folder_small (photos of your own at 64 px, see docs/own_photos.md), debug (seconds). Each
with "_released" after it is the authors' code since June 2023: a plain discriminator, one norm of
both gradients in the penalty.

Other sizes: --generator.image_size=128 --discriminator.image_size=128 --data.size=128. The
release's attention until then: --discriminator.attention=softmax. Less memory for more time:
--generator.remat=True --discriminator.remat=True. Another text encoder:
--encoder.name=char_cnn_rnn --encoder.source=RUN.
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base

ARGUMENTS = ("toy_birds", "cub", "flowers", "coco", *parts.FOLDERS, "debug")


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    name = arg.removesuffix("_released")
    parts.one_of(name, ARGUMENTS, more=", also with '_released'")
    config = base()
    config.system = "rat_gan"
    config.generator = {
        "channels": 64,
        "image_size": 256,
        "noise_dim": 100,
        "state_dim": 256,
        "affines": 6 if name == "flowers" else 4,
        "recurrent": True,
        "remat": False,
    }
    config.discriminator = {
        "channels": 64,
        "image_size": 256,
        "attention": "soft_threshold",
        "two_way": False,
        "remat": False,
    }
    config.recipe = {"mismatch": "shift", "penalty_update": "own"}
    parts.one_stage_training(config)
    config.data.update({"name": name, "size": 256, "batch": 24, "box_crop": name == "cub"})
    parts.damsm_captions(config)
    if name == "coco":
        config.data.batch = 48
        config.train.duration = "300 epochs"
    elif name == "toy_birds":
        toy_birds(config)
    elif name in parts.FOLDERS:
        own_photos(config, name)
    elif name == "debug":
        debug(config)
    if name != arg:
        released(config)
    return config


def released(config) -> None:
    """The authors' code as it is since 2023-06-15."""
    config.discriminator.attention = "none"
    config.recipe.ma_gp_form = "released"
    if config.data.name == "coco":
        config.data.batch = 24


def own_photos(config, name: str) -> None:
    """Read with MiniLM."""
    parts.minilm_text(config)
    parts.own_photos(config, name)
    if name == "folder_small":
        small(config)


def small(config) -> None:
    """64 px, small networks for two CPU cores, G at twice the published rate."""
    config.generator.update({"channels": 16, "image_size": 64, "noise_dim": 32, "state_dim": 64})
    config.discriminator.update({"channels": 8, "image_size": 64})
    config.recipe.mismatch = config.data.mismatch = "caption"
    config.optim = {"g": adam(2e-4, 0.0, 0.9), "d": adam(4e-4, 0.0, 0.9)}


def toy_birds(config) -> None:
    """The small networks on the embedded birds."""
    parts.toy_birds_data(config, size=64, batch=24)
    parts.toy_gan_training(config)
    small(config)


def debug(config) -> None:
    """Tiny everything, on a few embedded birds, with an untrained encoder."""
    config.generator.update({"channels": 2, "image_size": 16, "noise_dim": 4, "state_dim": 6})
    config.discriminator.update({"channels": 2, "image_size": 16})
    parts.debug_gan_training(config, size=16)
    parts.debug_damsm_captions(config)
    # A fresh D hardly attends to the text: Adam would enlarge the rounding of its gradient.
    config.optim.d.eps = 1e-4
