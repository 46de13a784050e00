"""The objective of DR-GAN: AttnGAN's, and what it asks of distributions of features.

Tan et al., "DR-GAN: Distribution Regularization for Text-to-Image Generation", IEEE TNNLS 2023
(arXiv 2204.07945). To AttnGAN's terms (`t2i_jax.recipes.attn_gan`) come those of
`t2i_jax.recipes.distribution_terms`:

G's                                           D's, for every scale
    sdl_image    lambda 1, of stages 2 ...        dnm_real     lambda 5
    sdl_context  lambda 2                         dnm_fake     lambda 5
    rirm         lambda 3                         dnm_kl_real  lambda 5
    dnm_image    lambda 4, for every scale        dnm_kl_fake  lambda 5
    dnm_kl       lambda 4

The paper weighs each adversarial term with 1/2 and has no pair "wrong"; the release has AttnGAN's
weights. What the release computes in the place of these terms is the modules' form "released"
(``generator.sdm_form``, ``discriminator.dnm_form``), with ``sdl`` for the first two.
"""

import dataclasses

from t2i_jax.models.dr_gan import Discriminator, Generator
from t2i_jax.recipes import attn_gan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(attn_gan.Recipe):
    """Equations of DR-GAN."""

    generator: Generator
    discriminator: Discriminator
