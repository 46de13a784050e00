"""StackGAN-v2 (Zhang et al., "StackGAN++", TPAMI 2019).

    t2i-jax train --config=stack_gan_v2:cub --workdir=runs/stack_gan_v2_cub \\
        --encoder.source=runs/char_cnn_rnn_cub

Arguments: toy_birds (two CPU cores), cub, flowers, coco, folder (the paper's sizes, 64 to 256 px:
one GPU or more), folder_small (photos of your own at 64 px, see docs/own_photos.md), debug
(seconds). Each of them with "_unconditional" after it trains on the images alone;
folder_unconditional, with --recipe.augment="()", is the paper's way with LSUN and ImageNet's
dogs and cats.

Fewer or more scales: --generator.scales=2 (with --data.size=128 to load no larger images than
needed). The authors' code form: --recipe.condition=mean --recipe.color=released, and its
habit of going on from the averaged weights at every snapshot: --ema.restart_every=2000. DR-GAN's
modules: --generator.sdm=True and --discriminator.dnm=True with weights for their terms
(configs/ablations/dr_gan_generalisation.py).
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base

ARGUMENTS = ("toy_birds", "cub", "flowers", "coco", *parts.FOLDERS, "debug")


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    name = arg.removesuffix("_unconditional")
    parts.one_of(name, ARGUMENTS, more=", also with '_unconditional'")
    config = base()
    config.system = "stack_gan_v2"
    config.generator = {
        "channels": 64,
        "condition_dim": 128,
        "noise_dim": 100,
        "residual_blocks": 2,
        "scales": 3,
        "base_size": 64,
        "augment": True,
        "heads": (),
        "last_copies": 1,
        "same_size": False,
        "sdm": False,
    }
    config.discriminator = {"channels": 64, "image_sizes": (), "dnm": False}
    config.recipe = {"condition": "sampled", "color": "paper"}
    config.loss = {
        "d": {
            "real": 1.0,
            "wrong": 1.0,
            "fake": 1.0,
            "uncond_real": 1.0,
            "uncond_wrong": 1.0,
            "uncond_fake": 1.0,
        },
        "g": {"fake": 1.0, "uncond_fake": 1.0, "kl": 2.0, "color": 0.0},
    }
    parts.distribution_terms(config)
    config.optim = {p: adam(2e-4) for p in ("g", "d")}
    config.ema.decay = 0.999
    config.data.update(
        {
            "name": name,
            "size": 256,
            "batch": 24,
            "mismatch": "image",
            "resize": "short_side",
            "box_crop": name == "cub",
        }
    )
    parts.char_cnn_rnn_text(config)
    config.train.update(
        {
            "duration": "600 epochs",
            "log_every": "100 steps",
            "sample_every": "2000 steps",
            "checkpoint_every": "2000 steps",
        }
    )
    if name == "coco":
        config.train.duration = "120 epochs"
    elif name == "toy_birds":
        toy_birds(config)
    elif name in parts.FOLDERS:
        parts.minilm_text(config)
        parts.own_photos(config, name)
        if name == "folder_small":
            small(config)
    elif name == "debug":
        debug(config)
    if name != arg:
        unconditional(config)
    return config


def unconditional(config) -> None:
    """No captions, no mismatched pairs, colours held together across the scales."""
    config.generator.condition_dim = 0
    config.loss.d.update({"real": 0.0, "wrong": 0.0, "fake": 0.0, "uncond_wrong": 0.0})
    config.loss.g.update({"fake": 0.0, "kl": 0.0, "color": 50.0})
    config.data.update({"captions": 0, "mismatch": ""})
    config.encoder.update({"name": "", "source": "", "fields": {}})
    config.tokenizer.name = ""


def small(config) -> None:
    """Two scales, 32 and 64 px, of small networks for two CPU cores."""
    config.generator.update({"channels": 16, "scales": 2, "base_size": 32, "residual_blocks": 1})
    config.generator.update({"condition_dim": 32, "noise_dim": 32})
    config.discriminator.channels = 16
    # The term is a mean over the condition's numbers: a quarter of them, a quarter of the weight.
    config.loss.g.kl = 0.5
    # With a condition that is mostly noise at first, D does not learn in time to read captions.
    config.recipe.condition = "mean"


def toy_birds(config) -> None:
    """The small networks on the embedded birds."""
    small(config)
    parts.toy_birds_data(config, size=64)
    parts.toy_gan_training(config)


def debug(config) -> None:
    """Tiny everything, on a few embedded birds, with an untrained encoder."""
    config.generator.update(
        {
            "channels": 4,
            "condition_dim": 6,
            "noise_dim": 4,
            "residual_blocks": 1,
            "scales": 2,
            "base_size": 16,
        }
    )
    config.discriminator.channels = 4
    parts.debug_gan_training(config, size=32)
    config.ema.update({"decay": 0.5, "half_life": ""})
