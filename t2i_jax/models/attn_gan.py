"""Networks of AttnGAN: an image that is refined while looking at the words.

Xu et al., "AttnGAN: Fine-Grained Text to Image Generation with Attentional Generative Adversarial
Networks", CVPR 2018 (arXiv 1711.10485), section 3.1, with the layers of the authors' release. The
release masks the words of the wrong samples (``mask_order="tiled"``); here that is an option.
"""

from t2i_jax.models import three_stage, three_stage_discriminator


class Generator(three_stage.Generator):
    """The shared skeleton with word attention, as published for birds."""


class Discriminator(three_stage_discriminator.Discriminator):
    """One network a scale, with batch norm, as published for birds."""
