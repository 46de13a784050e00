"""The parts of RAT-GAN (Ye et al., 2022): the recurrent cell, and the attention of D.

    t2i-jax sweep --config=rat_gan:cub --sweep=rat_gan_components --workdir=runs/rat_gan_components

rat         the cell that steers the affine layers; without it each sees the sentence itself
attention   D's spatial attention, with the soft threshold of the paper
softmax     the release's in place of that threshold: softmax of the sigmoids
two_way     D judges images without text, too

Without the first two it is DF-GAN of 2020.
"""

_NO_RAT = {"generator.recurrent": False}
_NO_ATTENTION = {"discriminator.attention": "none"}


def sweep():
    """Six flat override dicts; ``name`` is the run's directory."""
    yield {"name": "rat_attention"}
    yield {"name": "rat", **_NO_ATTENTION}
    yield {"name": "attention", **_NO_RAT}
    yield {"name": "neither", **_NO_RAT, **_NO_ATTENTION}
    yield {"name": "softmax", "discriminator.attention": "softmax"}
    yield {
        "name": "two_way",
        "discriminator.two_way": True,
        "loss.d.uncond_real": 1.0,
        "loss.d.uncond_fake": 1.0,
        "loss.g.uncond_fake": 1.0,
    }
