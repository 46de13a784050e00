"""Projection heads before XMC-GAN's contrastive losses (Zhang et al., CVPR 2021), Figure 5.

    t2i-jax sweep --config=xmc_gan:coco --sweep=xmc_gan_heads --workdir=runs/xmc_gan_heads

With deeper heads images find their captions more often (``accuracy_sentence`` and others, under "d"
of real images, under "g" of fake ones), yet the paper's FID gets worse: 19.42 with two layers
against 12.61 without.
"""


def sweep():
    """Three flat override dicts; ``name`` is the run's directory."""
    for layers in range(3):
        yield {"name": f"layers_{layers}", "discriminator.head_layers": layers}
