"""Networks of DR-GAN: both players also look at distributions of features.

Tan et al., "DR-GAN: Distribution Regularization for Text-to-Image Generation", IEEE TNNLS 2023
(arXiv 2204.07945). AttnGAN's stages with the Semantic Disentangling Module, and DM-GAN's
discriminators with the Distribution Normalization Module, whose ``sdm_form`` and ``dnm_form``
choose between the paper's formulae and the authors' release.
"""

from typing import ClassVar

import jax

from t2i_jax.models import three_stage, three_stage_discriminator
from t2i_jax.models.gated_stages import Residual


class Refinement(three_stage.Refinement):
    """Word attention whose contexts pass residual blocks before they are disentangled."""

    def read(
        self, features: jax.Array, words: jax.Array, mask: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """The refined context of each position, and its attention."""
        context, attention = super().read(features, words, mask, train)
        for i in range(1, self.residual_blocks + 1):
            context = Residual(name=f"context_res{i}", **self.norm)(context, train)
        return context, attention


class Generator(three_stage.Generator):
    """The shared skeleton with the Semantic Disentangling Module, as published for birds."""

    refinement: ClassVar = Refinement

    channels: int = 64
    head_convs: int = 3
    sdm: bool = True


class Discriminator(three_stage_discriminator.Discriminator):
    """One network a scale with the Distribution Normalization Module, as published for birds."""

    channels: int = 32
    norm: str = "spectral"
    dnm: bool = True
