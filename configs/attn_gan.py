"""AttnGAN (Xu et al., CVPR 2018): words attend to the image while it is refined.

    t2i-jax train --config=attn_gan:cub --workdir=runs/attn_gan_cub \\
        --encoder.source=runs/damsm_cub --frozen.damsm=runs/damsm_cub

Arguments: toy_birds (two CPU cores), cub, flowers, coco, folder (the paper's sizes, 64 to 256 px:
one GPU or more), folder_small (photos of your own at 64 px, see docs/own_photos.md), debug
(seconds). Each with "_released" after it has the weights of the authors' code, which adds a
mismatched pair to D's terms.

Other sizes: --generator.scales=2 --data.size=128. DR-GAN's modules: --generator.sdm=True and
--discriminator.dnm=True with weights for their terms (configs/ablations/dr_gan_generalisation.py).
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base

ARGUMENTS = ("toy_birds", "cub", "flowers", "coco", *parts.FOLDERS, "debug")


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    name = arg.removesuffix("_released")
    parts.one_of(name, ARGUMENTS, more=", also with '_released'")
    config = base()
    config.system = "attn_gan"
    config.generator = {
        "channels": 32,
        "condition_dim": 100,
        "noise_dim": 100,
        "residual_blocks": 2,
        "scales": 3,
        "base_size": 64,
        "mask_order": "sample",
        "sdm": False,
    }
    config.discriminator = {"channels": 64, "image_sizes": (), "dnm": False}
    config.recipe = {"mismatch": "shift"}
    damsm = 5.0 if name != "coco" else 50.0
    config.loss = {
        "d": {"real": 0.5, "wrong": 0.0, "fake": 0.5, "uncond_real": 0.5, "uncond_fake": 0.5},
        "g": {
            "fake": 0.5,
            "uncond_fake": 0.5,
            "kl": 1.0,
            "damsm_words": damsm,
            "damsm_sentence": damsm,
        },
    }
    parts.distribution_terms(config)
    config.optim = {p: adam(2e-4) for p in ("g", "d")}
    config.ema.update({"decay": 0.999, "statistics": "live"})
    config.data.update(
        {"name": name, "size": 256, "batch": 20, "resize": "short_side", "box_crop": name == "cub"}
    )
    parts.damsm_text(config)
    parts.long_gan_training(config)
    if name == "coco":
        config.generator.update({"channels": 48, "residual_blocks": 3})
        config.discriminator.channels = 96
        config.data.batch = 14
        config.tokenizer.length = 12
        config.train.duration = "120 epochs"
    elif name == "toy_birds":
        toy_birds(config)
    elif name in parts.FOLDERS:
        parts.own_photos(config, name)
        if name == "folder_small":
            small(config)
    elif name == "debug":
        debug(config)
    if name != arg:
        released(config)
    return config


def released(config) -> None:
    """Weights of the authors' code."""
    third = 1 / 3
    config.loss.d.update({"wrong": third, "fake": third, "uncond_fake": third})
    config.loss.g.update({"fake": 1.0, "uncond_fake": 1.0})


def small(config) -> None:
    """Two scales, 32 and 64 px, of small networks for two CPU cores."""
    config.generator.update({"channels": 16, "scales": 2, "base_size": 32, "residual_blocks": 1})
    config.generator.update({"condition_dim": 32, "noise_dim": 32})
    config.discriminator.channels = 16
    released(config)  # without mismatched pairs captions are learnt later than in minutes
    config.recipe.mismatch = config.data.mismatch = "caption"


def toy_birds(config) -> None:
    """The small networks on the embedded birds."""
    small(config)
    parts.toy_birds_data(config, size=64, batch=24)
    parts.toy_gan_training(config)


def debug(config) -> None:
    """Tiny everything, on a few embedded birds, with untrained encoders."""
    config.generator.update({"channels": 4, "scales": 2, "base_size": 8, "residual_blocks": 1})
    config.generator.update({"condition_dim": 6, "noise_dim": 4})
    config.discriminator.channels = 4
    released(config)
    parts.debug_gan_training(config, size=16)
    parts.debug_damsm(config)
