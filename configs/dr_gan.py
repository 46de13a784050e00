"""DR-GAN (Tan et al., TNNLS 2023): AttnGAN regularized by distributions of features.

    t2i-jax train --config=dr_gan:cub --workdir=runs/dr_gan_cub \\
        --encoder.source=runs/damsm_cub --frozen.damsm=runs/damsm_cub

Arguments and options as in configs/attn_gan.py, whose text and data it takes over. The paper's
formulae are the default; "_released" after an argument has what the authors' code computes in their
place, with its constants. The paper's lambdas are not known to us: these are reasoned, not tuned
(docs/dr_gan.md).
"""

import pathlib

from t2i_jax.config import arguments, load

_ATTN_GAN = pathlib.Path(__file__).with_name("attn_gan.py")
ARGUMENTS = arguments(str(_ATTN_GAN))


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    config = load(f"{_ATTN_GAN}:{arg}")
    name = arg.removesuffix("_released")
    config.system = "dr_gan"
    config.generator.update({"sdm": True, "sdm_form": "paper", "head_convs": 3})
    config.discriminator.update({"dnm": True, "dnm_form": "paper", "norm": "spectral"})
    config.discriminator.condition_dim = config.generator.condition_dim
    if name in ("toy_birds", "folder_small"):
        config.discriminator.channels = 8  # half of G's, as published; the decoders cost the most
    elif name != "debug":
        config.generator.update({"channels": 64, "residual_blocks": 3 if name == "coco" else 2})
        config.discriminator.channels = 32
        config.data.batch = 20 if name == "coco" else 22
        if name != "folder":
            config.train.duration = "250 epochs" if name == "coco" else "1000 epochs"
    if name == arg:
        paper(config)
    else:
        released(config)
    return config


def paper(config) -> None:
    """Lambda 1 to 3 for the generator's module, 4 and 5 for the discriminator's."""
    config.loss.g.update({"sdl_image": 0.1, "sdl_context": 0.1, "rirm": 0.1})
    config.loss.g.update({"dnm_image": 0.1, "dnm_kl": 0.1})
    dnm = {"dnm_real": 0.1, "dnm_fake": 0.1, "dnm_kl_real": 0.1, "dnm_kl_fake": 0.1}
    config.loss.d.update(dnm)


def released(config) -> None:
    """The authors' code: its forms and its constants."""
    config.generator.sdm_form = "released"
    config.discriminator.dnm_form = "released"
    config.loss.g.update({"sdl": 1.0, "rirm": 1e-5, "dnm_image": 1.0})
    config.loss.d.update({"dnm_real": 1e-3, "dnm_fake": 1e-3, "dnm_kl_real": 0.02})
    scales = config.generator.scales
    config.recipe.dnm_scales = tuple(10.0 ** (2 * i - 6) for i in range(scales))
