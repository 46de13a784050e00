"""The contrastive losses of XMC-GAN (Zhang et al., CVPR 2021), Table 4.

    t2i-jax sweep --config=xmc_gan:coco --sweep=xmc_gan_losses --workdir=runs/xmc_gan_losses

s   an image finds its sentence, real images for D and fake ones for G
w   and its words, by its regions
d   a fake image finds its real one, by D's features
vgg the same by those of a frozen network of images
"""

_TERMS = {
    "s": ("d.sentence", "g.sentence"),
    "w": ("d.word", "g.word"),
    "d": ("g.image",),
    "vgg": ("g.image_network",),
}
_RUNS = ("", "s", "w", "d", "vgg", "d_vgg", "s_w", "s_w_d", "s_w_vgg", "s_w_d_vgg")


def sweep():
    """Ten flat override dicts that turn off what a run is without; ``name`` is its directory."""
    for run in _RUNS:
        parts = run.split("_")
        off = [f"loss.{t}" for part, terms in _TERMS.items() if part not in parts for t in terms]
        yield {"name": run or "baseline", **dict.fromkeys(off, 0.0)}
