"""What generators of one noise vector and one image have in common."""

import flax.linen as nn


class OneNoiseGenerator(nn.Module):
    """Base of generators with the fields ``image_size`` and ``noise_dim``."""

    @property
    def image_sizes(self) -> tuple[int, ...]:
        """Sides of the images in pixels."""
        return (self.image_size,)

    @property
    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        """Noise of one image."""
        return {"z": (self.noise_dim,)}
