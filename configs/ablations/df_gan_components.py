"""The parts of DF-GAN (Tao et al., CVPR 2022), the paper's table of components.

    t2i-jax sweep --config=df_gan:cub --sweep=df_gan_components --workdir=runs/df_gan_components

ma_gp     the matching-aware gradient penalty
one_way   one output of D for image and text; without it a second head judges the image alone
deep      four affine layers a block; without it two, one before each convolution
"""

_TWO_WAY = {
    "discriminator.two_way": True,
    "loss.d.uncond_real": 1.0,
    "loss.d.uncond_fake": 1.0,
    "loss.g.uncond_fake": 1.0,
}
_NO_PENALTY = {"loss.d.ma_gp": 0.0}
_SHALLOW = {"generator.affines": 2}


def sweep():
    """Five flat override dicts; ``name`` is the run's directory."""
    yield {"name": "baseline", **_NO_PENALTY, **_TWO_WAY, **_SHALLOW}
    yield {"name": "ma_gp", **_TWO_WAY, **_SHALLOW}
    yield {"name": "one_way", **_NO_PENALTY, **_SHALLOW}
    yield {"name": "ma_gp_one_way", **_SHALLOW}
    yield {"name": "ma_gp_one_way_deep"}
