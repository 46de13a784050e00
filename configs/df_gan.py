"""DF-GAN (Tao et al., CVPR 2022): one stage, text fused in every block, one-way output.

    t2i-jax train --config=df_gan:cub --workdir=runs/df_gan_cub \\
        --encoder.source=runs/damsm_cub

Arguments: toy_birds (two CPU cores), cub, flowers, coco, folder (the paper's size, 256 px: one
GPU), folder_small (photos of your own at 64 px, see docs/own_photos.md), debug (seconds). Each with
"_released" after it is the authors' code, which takes one norm of both gradients in the penalty;
with "_released_2020" their first one, of other networks and another order of updates.

Other sizes: --generator.image_size=128 --discriminator.image_size=128 --data.size=128. Less memory
for more time: --generator.remat=True --discriminator.remat=True. Another text encoder:
--encoder.name=char_cnn_rnn --encoder.source=RUN.
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base

ARGUMENTS = ("toy_birds", "cub", "flowers", "coco", *parts.FOLDERS, "debug")
_EPOCHS = {"cub": 1300, "coco": 300, "flowers": 1000}


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    name = arg.removesuffix("_2020").removesuffix("_released")
    parts.one_of(name, ARGUMENTS, more=", also with '_released' or '_released_2020'")
    config = base()
    config.system = "df_gan"
    config.generator = {
        "channels": 32,
        "image_size": 256,
        "noise_dim": 100,
        "version": "2022",
        "affines": 4,
        "affine_dim": 0,
        "remat": False,
    }
    config.discriminator = {
        "channels": 32,
        "image_size": 256,
        "version": "2022",
        "two_way": False,
        "remat": False,
    }
    config.recipe = {"mismatch": "roll", "penalty_update": "shared"}
    parts.one_stage_training(config)
    config.train.duration = f"{_EPOCHS.get(name, 600)} epochs"
    config.data.update({"name": name, "size": 256, "batch": 32, "box_crop": name == "cub"})
    parts.damsm_captions(config)
    if name == "toy_birds":
        toy_birds(config)
    elif name in parts.FOLDERS:
        own_photos(config, name)
    elif name == "debug":
        debug(config)
    if name != arg:
        config.recipe.ma_gp_form = "released"
    if arg.endswith("_2020"):
        released_2020(config)
    return config


def released_2020(config) -> None:
    """The authors' code until June 2022."""
    config.generator.update({"version": "2020", "affine_dim": 256})
    config.discriminator.version = "2020"
    config.recipe.update({"mismatch": "shift", "penalty_update": "own"})
    config.data.update({"batch": 24, "mismatch": ""})
    if config.data.name in ("cub", "coco"):
        config.train.duration = {"cub": "600 epochs", "coco": "120 epochs"}[config.data.name]


def own_photos(config, name: str) -> None:
    """Read with MiniLM."""
    parts.minilm_text(config)
    parts.own_photos(config, name)
    if name == "folder_small":
        small(config)


def small(config) -> None:
    """64 px, small networks for two CPU cores, G at twice the published rate."""
    config.generator.update({"channels": 16, "image_size": 64, "noise_dim": 32})
    config.discriminator.update({"channels": 16, "image_size": 64})
    config.recipe.mismatch = config.data.mismatch = "caption"
    config.optim = {"g": adam(2e-4, 0.0, 0.9), "d": adam(4e-4, 0.0, 0.9)}


def toy_birds(config) -> None:
    """The small networks on the embedded birds."""
    parts.toy_birds_data(config, size=64, batch=24)
    parts.toy_gan_training(config)
    small(config)


def debug(config) -> None:
    """Tiny everything, on a few embedded birds, with an untrained encoder."""
    config.generator.update({"channels": 2, "image_size": 16, "noise_dim": 4})
    config.discriminator.update({"channels": 2, "image_size": 16})
    parts.debug_gan_training(config, size=16)
    parts.debug_damsm_captions(config)
