"""GAN-INT-CLS (Reed et al., ICML 2016).

    t2i-jax train --config=gan_int_cls:cub --workdir=runs/gan_int_cls_cub \\
        --encoder.source=runs/char_cnn_rnn_cub

Arguments: toy_birds (two CPU cores, minutes), cub, flowers, coco (the papers' sizes: one GPU or
more), folder, folder_small (photos of your own, see docs/own_photos.md), debug (seconds).
toy_birds_damsm is the quick start's: GAN-CLS that reads and is told by a DAMSM
(docs/gan_int_cls.md), with --encoder.source=RUN --frozen.damsm=RUN.

The other three models of the paper are overrides:

    GAN       --loss.d.wrong=0 --loss.d.fake=1 --loss.g.interp=0
    GAN-CLS   --loss.g.interp=0
    GAN-INT   --loss.d.wrong=0 --loss.d.fake=1

The authors' code form: --recipe.form=released --recipe.mismatch=image --data.mismatch=image. Its
options that no published model uses: --generator.noise=uniform, --generator.large=True.
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base

ARGUMENTS = ("toy_birds", "toy_birds_damsm", "cub", "flowers", "coco", *parts.FOLDERS, "debug")


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    parts.one_of(arg, ARGUMENTS)
    config = base()
    config.system = "gan_int_cls"
    config.generator = {
        "image_size": 64,
        "channels": 128,
        "text_dim": 128,
        "noise_dim": 100,
        "noise": "normal",
        "large": False,
    }
    config.discriminator = {
        "image_size": 64,
        "channels": 64,
        "text_dim": 128,
        "variant": "int",
        "residual": True,
    }
    config.recipe = {"form": "paper", "mismatch": "text", "interp": "midpoint"}
    config.loss = {
        "d": {"real": 1.0, "wrong": 0.5, "fake": 0.5},
        "g": {"fake": 1.0, "interp": 1.0},
    }
    set_halving(config, 100)
    config.data.update(
        {
            "name": arg,
            "mismatch": "caption",
            "sampling": "class_balanced",
            "captions": 4,
            "replace": True,
            "resize": "torch7",
        }
    )
    parts.char_cnn_rnn_text(config)
    parts.long_gan_training(config)
    if arg == "coco":
        config.data.update({"captions": 3, "replace": False, "sampling": "epoch"})
        config.generator.channels = 196
        config.discriminator.update({"channels": 196, "variant": "cls"})
        config.loss.g.interp = 0.0  # the paper's COCO model is GAN-CLS
        set_halving(config, 40)
        config.train.duration = "200 epochs"
    elif arg == "toy_birds":
        toy_birds(config)
    elif arg == "toy_birds_damsm":
        toy_birds(config)
        told_by_damsm(config)
    elif arg in parts.FOLDERS:
        own_photos(config, arg)
    elif arg == "debug":
        debug(config)
    return config


def set_halving(config, epochs: int) -> None:
    """Torch's Adam at 2e-4, halved at the start of so many epochs, counted from 1."""
    halving = f"multiply 0.5 every {epochs} epochs from {epochs - 1} epochs"
    config.optim = {p: adam(2e-4, name="torch_adam", schedule=halving) for p in ("g", "d")}


def toy_birds(config) -> None:
    """Small networks for two CPU cores."""
    config.generator.channels = 16
    config.discriminator.channels = 16
    parts.toy_birds_data(config, batch=32, captions=1)
    parts.toy_gan_training(
        config, duration="3600 steps", log_every="100 steps", sample_every="400 steps"
    )


def own_photos(config, arg: str) -> None:
    """Read with MiniLM; sampled by classes, as in the paper, where photos have some."""
    halving = "multiply 0.5 every 20k steps"
    config.optim = {p: adam(2e-4, name="torch_adam", schedule=halving) for p in ("g", "d")}
    config.data.update({"sampling": "auto", "captions": 1, "resize": "short_side"})
    parts.minilm_text(config)
    parts.own_photos(config, arg)
    if arg == "folder_small":
        config.generator.channels = config.discriminator.channels = 16
        # Photos, seen augmented, are learnt late with a slow D and do not let a fast one win.
        config.optim.d.lr = config.optim.g.lr


def told_by_damsm(config) -> None:
    """What the birds of no species need to be drawn as captions say, and differently each time."""
    parts.damsm_text(config)
    config.tokenizer.length = 24
    config.data.update({"name": "toy_birds_mixed", "sampling": "epoch", "truncate": "head"})
    config.generator.noise_dim = 8
    config.recipe.augment = ("color", "translation")
    config.loss.g.update({"interp": 0.0, "damsm_sentence": 2.0, "mode_seeking": 0.3})
    config.train.duration = "3000 steps"


def debug(config) -> None:
    """Tiny everything, on a few embedded birds, with an untrained encoder."""
    config.generator.update({"image_size": 32, "channels": 4, "text_dim": 8, "noise_dim": 4})
    config.discriminator.update({"image_size": 32, "channels": 4, "text_dim": 8})
    config.data.captions = 2
    parts.debug_gan_training(config, size=32)
