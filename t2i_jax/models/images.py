"""Images at several resolutions, and checks of their size."""

from collections.abc import Sequence

import chex
import jax


def check_side(name: str, side: int, least: int) -> None:
    """Raises ValueError, naming the field, unless `side` is a power of two >= `least`."""
    if side < least or side & (side - 1):
        raise ValueError(f"{name} must be a power of two >= {least}, got {side}")


def check_images(images: jax.Array, size: int) -> None:
    """Raises AssertionError for anything but [B, H, W, 3], ValueError unless H = W = size."""
    chex.assert_shape(images, (None, None, None, 3))
    if images.shape[1:3] != (size, size):
        raise ValueError(
            f"the network is built for {size} px, got images of shape {images.shape}: give images "
            "of that size, or set its image_size to theirs"
        )


def pyramid(images: jax.Array | Sequence[jax.Array], sizes: Sequence[int]) -> tuple[jax.Array, ...]:
    """The same pictures at each of `sizes` (sides in pixels, in any order, repeats allowed).

    images: [B, H, H, 3] float, reduced straight to every size with Pillow's bilinear filter (the
        triangle as wide as the reduction, weights renormalised at the borders); or the finished
        pyramid, which is only checked.

    Raises ValueError where the images are smaller than a size, not square, or another pyramid.
    """
    if isinstance(images, tuple | list):
        if [x.shape[1] for x in images] != list(sizes):
            found = [x.shape[1] for x in images]
            raise ValueError(f"a pyramid of {found} px was given where {list(sizes)} px are needed")
        return tuple(images)
    rows, height, width, channels = images.shape
    if height != width or height < max(sizes):
        raise ValueError(
            f"images of {height}x{width} px cannot be reduced to {max(sizes)} px: set data.size "
            f"to {max(sizes)} or more"
        )
    reduced = {height: images}
    for size in sizes:
        if size not in reduced:
            shape = (rows, size, size, channels)
            reduced[size] = jax.image.resize(images, shape, "linear", antialias=True)
    return tuple(reduced[size] for size in sizes)
