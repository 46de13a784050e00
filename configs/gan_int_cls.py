"""GAN-INT-CLS (Reed et al., ICML 2016).

    python -m t2i_jax.train --config=configs/gan_int_cls.py:cub --workdir=runs/gan_int_cls_cub \\
        --encoder.source=runs/char_cnn_rnn_cub

Arguments: toy_birds (two CPU cores, minutes), cub, flowers, coco (the papers' sizes: one GPU or
more), debug (seconds). The other three models of the paper are overrides:

    GAN       --loss.d.wrong=0 --loss.d.fake=1 --loss.g.interp=0
    GAN-CLS   --loss.g.interp=0
    GAN-INT   --loss.d.wrong=0 --loss.d.fake=1

The authors' code form: --recipe.form=released --recipe.mismatch=image --data.mismatch=image. Its
options that no published model uses: --generator.noise=uniform, --generator.large=True.
"""

from t2i_jax.config import adam, base


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
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
    # Halved at the start of epochs 100, 200, ... counted from 1.
    halving = "multiply 0.5 every 100 epochs from 99 epochs"
    config.optim = {p: adam(2e-4, name="torch_adam", schedule=halving) for p in ("g", "d")}
    config.data.update(
        {
            "mismatch": "caption",
            "sampling": "class_balanced",
            "captions": 4,
            "replace": True,
            "resize": "torch7",
            "crop": "random",
            "flip": True,
            "box_crop": False,
            "text": "tokens",
            "threads": 0,
            "workers": 0,
        }
    )
    config.encoder.update({"name": "char_cnn_rnn", "source": "runs/char_cnn_rnn"})
    config.train.update(
        {
            "duration": "600 epochs",
            "log_every": "1 epochs",
            "sample_every": "20 epochs",
            "checkpoint_every": "10 epochs",
        }
    )
    if arg in ("cub", "flowers"):
        config.data.name = arg
    elif arg == "coco":
        config.data.update({"name": "coco", "captions": 3, "replace": False, "sampling": "epoch"})
        config.generator.channels = 196
        config.discriminator.update({"channels": 196, "variant": "cls"})
        config.loss.g.interp = 0.0  # the paper's COCO model is GAN-CLS
        halving = "multiply 0.5 every 40 epochs from 39 epochs"
        config.optim = {p: adam(2e-4, name="torch_adam", schedule=halving) for p in ("g", "d")}
        config.train.duration = "200 epochs"
    elif arg == "toy_birds":
        toy_birds(config)
    elif arg == "debug":
        debug(config)
    else:
        raise ValueError(f"no {arg!r}; known: toy_birds, cub, flowers, coco, debug")
    return config


def toy_birds(config) -> None:
    """Small networks for two CPU cores."""
    config.generator.channels = 16
    config.discriminator.channels = 16
    config.data.update({"name": "toy_birds", "batch": 32, "captions": 1, "resize": "square"})
    config.data.load_ratio = 1.0
    config.data.crop = "none"
    config.data.flip = False  # one direction is learnt in half the time
    # A slower D: at equal rates it wins before G has found the shape of a bird in some runs.
    config.optim = {"g": adam(5e-4), "d": adam(2e-4)}
    config.ema.half_life = "100 steps"
    config.train.update(
        {
            "duration": "3600 steps",
            "log_every": "100 steps",
            "sample_every": "400 steps",
            "checkpoint_every": "500 steps",
        }
    )


def debug(config) -> None:
    """Tiny everything, on a few embedded birds, with an untrained encoder."""
    config.generator.update({"image_size": 32, "channels": 4, "text_dim": 8, "noise_dim": 4})
    config.discriminator.update({"image_size": 32, "channels": 4, "text_dim": 8})
    config.data.update({"name": "toy_birds", "size": 32, "batch": 8, "captions": 2, "threads": 1})
    config.encoder.update(
        {
            "source": "random",
            "fields": {"conv_widths": (4, 6), "width": 8, "embedding": 12},
        }
    )
    config.ema.half_life = "2 steps"
    config.train.update(
        {
            "duration": "2 steps",
            "log_every": "1 steps",
            "sample_every": "2 steps",
            "checkpoint_every": "1 steps",
            "samples": 4,
        }
    )
