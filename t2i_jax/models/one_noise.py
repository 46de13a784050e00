"""What generators of one noise vector and one image have in common."""

from collections.abc import Mapping
from typing import ClassVar

import flax.linen as nn
import jax

from t2i_jax.types import Text


class OneNoiseGenerator(nn.Module):
    """Base of generators with the fields ``image_size`` and ``noise_dim``.

    reads: what of a text: "sentence" or "words".
    """

    reads: ClassVar[str] = "sentence"

    @property
    def image_sizes(self) -> tuple[int, ...]:
        """Sides of the images in pixels."""
        return (self.image_size,)

    @property
    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        """Noise of one image."""
        return {"z": (self.noise_dim,)}

    def draw(self, noise: Mapping[str, jax.Array], text: Text, train: bool) -> jax.Array:
        """The images alone, [B, H, W, 3]: one call for all generators, whatever they read."""
        return self(noise, text.sentence, train=train)[-1]
