"""StackGAN-v1, Stage I: 64 px sketches (Zhang et al., ICCV 2017).

    t2i-jax train --config=stack_gan_v1:cub --workdir=runs/stack_gan_v1_cub \\
        --encoder.source=runs/char_cnn_rnn_cub

Then Stage II: configs/stack_gan_v1_stage2.py. Arguments: toy_birds (two CPU cores, minutes), cub,
flowers, coco (the paper's form), coco_released (the networks and losses of the authors' PyTorch
release, whose COCO model is published), folder, folder_small (photos of your own, see
docs/own_photos.md), debug (seconds).

Without conditioning augmentation (a paper's ablation): --generator.augment=False --loss.g.kl=0.
All of the paper's ablations: configs/ablations/stack_gan_v1_components.py.
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base

ARGUMENTS = ("toy_birds", "cub", "flowers", "coco", "coco_released", *parts.FOLDERS, "debug")


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    parts.one_of(arg, ARGUMENTS)
    config = base()
    config.system = "stack_gan_v1"
    config.generator = {
        "image_size": 64,
        "channels": 128,
        "condition_dim": 128,
        "noise_dim": 100,
        "activation": "leaky_relu",
        "augment": True,
    }
    config.discriminator = {
        "image_size": 64,
        "channels": 64,
        "text_dim": 128,
        "join_kernel": 1,
        "unconditional": False,
    }
    config.recipe = {"mismatch": "text"}
    config.loss = {
        "d": {"real": 1.0, "wrong": 0.5, "fake": 0.5, "uncond_real": 0.0, "uncond_fake": 0.0},
        "g": {"fake": 1.0, "uncond_fake": 0.0, "kl": 2.0},
    }
    set_halving(config, 100)
    config.data.update(
        {
            "name": arg.removesuffix("_released"),
            "mismatch": "caption",
            "box_crop": arg == "cub",
        }
    )
    parts.char_cnn_rnn_text(config)
    parts.long_gan_training(config)
    if arg.startswith("coco"):
        config.generator.channels = 192
        config.discriminator.channels = 96
        set_halving(config, 20)
        config.data.batch = 128
        config.train.duration = "120 epochs"
    if arg == "coco_released":
        released(config)
    elif arg == "toy_birds":
        toy_birds(config)
    elif arg in parts.FOLDERS:
        own_photos(config, arg)
    elif arg == "debug":
        debug(config)
    return config


def set_halving(config, epochs: int) -> None:
    """Adam at 2e-4, halved every so many epochs."""
    halving = f"multiply 0.5 every {epochs} epochs"
    config.optim = {p: adam(2e-4, schedule=halving) for p in ("g", "d")}


def released(config) -> None:
    """What the PyTorch release does otherwise than the paper, in both stages."""
    config.generator.activation = "relu"
    config.discriminator.update({"text_dim": 0, "join_kernel": 3})
    config.recipe.mismatch = "shift"
    config.data.mismatch = ""


def own_photos(config, arg: str) -> None:
    """Read with MiniLM."""
    config.optim = {p: adam(2e-4, schedule="multiply 0.5 every 20k steps") for p in ("g", "d")}
    config.data.resize = "short_side"
    parts.minilm_text(config)
    parts.own_photos(config, arg)
    if arg == "folder_small":
        small(config)
        config.data.size = 32


def small(config) -> None:
    """Networks at 32 px for two CPU cores: Stage II makes 64 px of them."""
    config.generator.update({"image_size": 32, "channels": 32})
    config.discriminator.update({"image_size": 32, "channels": 32})


def toy_birds(config) -> None:
    """Small networks for two CPU cores."""
    small(config)
    parts.toy_birds_data(config, size=32, batch=32)
    parts.toy_gan_training(config)


def debug(config) -> None:
    """Tiny everything, on a few embedded birds, with an untrained encoder."""
    config.generator.update({"image_size": 16, "channels": 4, "condition_dim": 6, "noise_dim": 4})
    config.discriminator.update({"image_size": 16, "channels": 4, "text_dim": 6})
    parts.debug_gan_training(config, size=16)
