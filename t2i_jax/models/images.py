"""Images at several resolutions."""

from collections.abc import Sequence

import jax


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
