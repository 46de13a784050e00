"""DM-GAN (Zhu et al., CVPR 2019): AttnGAN whose stages read a memory that each image writes.

    t2i-jax train --config=dm_gan:cub --workdir=runs/dm_gan_cub \\
        --encoder.source=runs/damsm_cub --frozen.damsm=runs/damsm_cub

Arguments and options as in configs/attn_gan.py, whose text, data and losses it takes over.
"""

import pathlib

from t2i_jax.config import arguments, load

_ATTN_GAN = pathlib.Path(__file__).with_name("attn_gan.py")
ARGUMENTS = arguments(str(_ATTN_GAN))


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    config = load(f"{_ATTN_GAN}:{arg}")
    config.system = "dm_gan"
    config.discriminator.norm = "spectral"
    name = arg.removesuffix("_released")
    if name not in ("toy_birds", "folder_small", "debug"):
        config.generator.update({"channels": 64, "residual_blocks": 3 if name == "coco" else 2})
        config.discriminator.channels = 32
        config.data.batch = 16 if name == "coco" else 10
        if name != "folder":
            config.train.duration = "200 epochs" if name == "coco" else "800 epochs"
    return config
