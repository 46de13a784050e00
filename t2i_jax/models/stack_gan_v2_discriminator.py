"""The discriminator of StackGAN-v2: one network for each image of the generator.

Zhang et al., "StackGAN++" (arXiv 1710.10916), section 4.2, with the layers of the authors' release.
The networks share no weights. Each answers two questions about its image with a logit: whether the
image fits the condition, and whether it is real. Without text only the second question is asked.

AttnGAN took the layers over, so they are those of `t2i_jax.models.three_stage_discriminator`; here
the condition stands in front of the features, and a question that is not asked costs nothing.
"""

from collections.abc import Sequence
from typing import ClassVar

import jax

from t2i_jax.models import three_stage_discriminator
from t2i_jax.models.convolutions import Joined
from t2i_jax.models.layers import check_same_rows, leaky_relu
from t2i_jax.models.three_stage_discriminator import Features


class ScaleDiscriminator(three_stage_discriminator.ScaleDiscriminator):
    """The discriminator of one scale: an image trunk with a head for each question."""

    def fits(self, features: Features, condition: jax.Array, train: bool) -> jax.Array:
        """Features and conditions [B, N] -> logits [B] float32."""
        x = features.last
        check_same_rows(x, condition)
        joined = self.join(Joined((condition, x)), train)
        return self.cond_logit(leaky_relu(joined))

    def real(self, features: Features) -> jax.Array:
        """Features -> logits [B] float32."""
        return self.uncond_logit(features.last)


class Discriminator(three_stage_discriminator.Discriminator):
    """One independent discriminator an image, with batch norm as published. Fields as in the base,
    DR-GAN's Distribution Normalization Module included.
    """

    scale: ClassVar = ScaleDiscriminator

    condition_dim: int = 128

    def judge(
        self,
        features: Sequence[Features],
        conditions: Sequence[jax.Array] | None,
        train: bool,
        uncond: bool = True,
    ) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """Logits of all scales, [B] float32 each: (image fits condition, image is real).

        features: of `features`. conditions: [B, N] for each, or None.
        A tuple is empty where its question is not asked: no conditions, or ``uncond=False``.

        Raises ValueError for another number of conditions than of scales.
        """
        fits = real = ()
        if conditions and len(conditions) != len(self.image_sizes):
            raise ValueError(f"{len(conditions)} conditions for the scales {self.image_sizes}")
        if conditions:
            triples = zip(self.nets, features, conditions, strict=True)
            fits = tuple(net.fits(x, c, train) for net, x, c in triples)
        if uncond:
            real = tuple(net.real(x) for net, x in zip(self.nets, features, strict=True))
        return fits, real

    def __call__(
        self,
        images: Sequence[jax.Array],
        conditions: Sequence[jax.Array] | None,
        train: bool,
        uncond: bool = True,
        sentence: jax.Array | None = None,
    ) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """`judge` of the `features` of the images.

        sentence: [B, E], for the weights of `reconstruct`, which are added while initializing.
        """
        features = self.features(images, train)
        self.add_reconstruction(features, sentence, train)
        return self.judge(features, conditions, train, uncond)
