"""The modulation of XMC-GAN's generator (Zhang et al., CVPR 2021), Table 5.

    t2i-jax sweep --config=xmc_gan:coco --sweep=xmc_gan_modulation \\
        --workdir=runs/xmc_gan_modulation

self        every norm is modulated by sentence and noise alone
attentional above 16x16 also by the words that each position attends to (the paper's model)
shared      the same, but by one attention at 16x16 for all resolutions (the release's)
"""


def sweep():
    """Three flat override dicts; ``name`` is the run's directory."""
    yield {"name": "self", "generator.attention": "none"}
    yield {"name": "attentional"}
    yield {"name": "shared", "generator.attention": "shared"}
