"""What discriminators of one image and its sentence have in common."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from t2i_jax.models.affine_blocks import Verdict
from t2i_jax.models.layers import check_same_rows


class OneImageDiscriminator(nn.Module):
    """Base of discriminators with the fields ``image_size``, ``channels``, ``two_way`` and
    ``dtype``. Their `setup` makes ``trunk``, from images to a map, and ``fits``, from the map and
    the sentence to logits; this one's makes the second head.
    """

    def setup(self):
        if self.two_way:
            self.real = Verdict(2 * self.channels, self.dtype)

    def features(self, images: jax.Array | Sequence[jax.Array], train: bool) -> jax.Array:
        """[B, S, S, 3], alone or as a tuple of one -> the trunk's map [B, h, w, C]. ValueError for
        images of other sizes.
        """
        return self.trunk(only_image(images, self.image_size))

    def judge(
        self, features: jax.Array, sentence: jax.Array | None, train: bool
    ) -> tuple[jax.Array | None, dict[str, jax.Array]]:
        """Logits [B] of "real and fits the sentence" and, where there is a second head, "real": the
        logits [B] of the image alone.

        features: as `features` gives them; sentence: [B, E], or None to ask of the image alone.
        """
        extras = {"real": self.real(features)} if self.two_way else {}
        if sentence is None:
            return None, extras
        check_same_rows(features, sentence)
        return self.fits(features, sentence), extras

    def __call__(
        self, images: jax.Array | Sequence[jax.Array], sentence: jax.Array, train: bool
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """`judge` of the `features` of images."""
        return self.judge(self.features(images, train), sentence, train)


def only_image(images: jax.Array | Sequence[jax.Array], image_size: int) -> jax.Array:
    """The image of a pyramid of one scale, or the array itself: [B, S, S, 3].

    Raises ValueError for several scales and for images of another size.
    """
    if isinstance(images, tuple | list):
        if len(images) != 1:
            raise ValueError(f"{len(images)} scales of images for a discriminator of one")
        images = images[0]
    if images.ndim != 4 or images.shape[1:3] != (image_size, image_size):
        raise ValueError(
            f"the discriminator is built for {image_size} px, got images of shape {images.shape}: "
            "set discriminator.image_size to their side"
        )
    return images
