"""The kind of XMC-GAN's loss by a frozen network of images (Zhang et al., CVPR 2021), Table 6.

    t2i-jax sweep --config=xmc_gan:coco --sweep=xmc_gan_loss_type --workdir=runs/xmc_gan_loss_type

contrastive a fake image finds its real one among those of the batch
l2          the mean square between the features of both, the usual perceptual loss
"""


def sweep():
    """Two flat override dicts; ``name`` is the run's directory."""
    yield {"name": "contrastive"}
    yield {"name": "l2", "loss.g.image_network": 0.0, "loss.g.perceptual": 1.0}
