"""The objective of DM-GAN: that of AttnGAN, for networks with a dynamic memory.

Zhu et al., "DM-GAN" (CVPR 2019, arXiv 1904.01310), section 3.3. The weights of the release are
those of AttnGAN's: D's real terms 1/2 and its other three 1/3, G's 1, lambda 5 (birds) or 50.
"""

import dataclasses

from t2i_jax.models.dm_gan import Discriminator, Generator
from t2i_jax.recipes import attn_gan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(attn_gan.Recipe):
    """Equations of DM-GAN."""

    generator: Generator
    discriminator: Discriminator
