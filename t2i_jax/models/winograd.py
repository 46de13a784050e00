"""Minimal filtering: 2x2 results of a convolution by fewer products than taps.

Winograd's F(2x2, 3x3) of Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv
1509.09308, section 4.1), and the same with kernels of 2x2: 16 products for four results in place of
36, and 9 in place of 16. Tiles of the map and the kernel are transformed, multiplied channel by
channel in one matrix product for each place in a tile, and transformed back. The coefficients are 1
and 1/2, so that float32 keeps its precision.

The paper's transforms of a tile d0 ... d3 along an axis are written for whole maps, so that a few
operations make all places, and compile quickly. The outer places are d0 - d2 and d1 - d3: pixels
less those two further, at every position. The inner ones, d1 + d2 and d2 - d1, stand at every
second. Signs are chosen such that the outer places go to one result each, the first inner one to
both, and the second to the first with a plus and to the other with a minus.

Sizes are those of stride 1: with padding p, a map of H rows and k x k taps give H + 2p - k + 1.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from t2i_jax import in_order

Matrix = tuple[tuple[float, ...], ...]

# By the number of taps: the transform of a kernel along an axis, places by taps. The outer places
# come first.
_OF_KERNEL: dict[int, Matrix] = {
    2: ((1, 0), (0, -1), (1, 1)),
    3: ((1, 0, 0), (0, 0, -1), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5)),
}
# The places that are made together, with four or with three of them: the outer ones, then one each.
_PARTS = (0, 1), (2,), (3,)


@functools.partial(jax.jit, static_argnames="padding")
def convolve(x: jax.Array, kernel: jax.Array, padding: int = 1) -> jax.Array:
    """[B, H, W, C] with a kernel [k, k, C, O], k 2 or 3, stride 1: -> [B, h, w, O]."""
    taps = len(kernel)
    return _filtered(x, kernel, _OF_KERNEL[taps], "knc,kco->kno", padding)


@functools.partial(jax.jit, static_argnames="padding")
def input_gradient(dy: jax.Array, kernel: jax.Array, padding: int = 1) -> jax.Array:
    """The gradient of `convolve` in its map, of the result's [B, h, w, O]: -> [B, H, W, C]."""
    taps = len(kernel)
    turned = tuple(row[::-1] for row in _OF_KERNEL[taps])
    return _filtered(dy, kernel, turned, "kno,kco->knc", taps - 1 - padding)


def _filtered(
    x: jax.Array, kernel: jax.Array, transform: Matrix, product: str, padding: int
) -> jax.Array:
    taps = len(kernel)
    kernels = _both_axes(transform, kernel)
    results = []
    for tiles, rows in zip(_tiles(x, taps, padding), _PARTS[:taps], strict=True):
        products = []
        for part, columns in zip(tiles, _PARTS[:taps], strict=True):
            places = jnp.stack([kernels[i][j] for j in columns for i in rows])
            y = jnp.einsum(product, _flat(part), places)
            products.append(y.reshape(*part.shape[:-1], -1))
        results.append(_merged(products, 4))
    y = _merged(results, 2)  # [B, h / 2, 2, w / 2, 2, O]
    batch, height, _, width, _, features = y.shape
    y = y.reshape(batch, 2 * height, 2 * width, features)
    height, width = _sizes(x, taps, padding)
    return in_order.together(y[:, :height, :width])


@functools.partial(jax.jit, static_argnames=("taps", "padding"))
def kernel_gradient(x: jax.Array, dy: jax.Array, taps: int, padding: int = 1) -> jax.Array:
    """The gradient of `convolve` in its kernel, of the map [B, H, W, C] and the result's gradient
    [B, h, w, O]: -> [taps, taps, C, O].
    """
    height, width = dy.shape[1:3]
    dy = in_order.together(jnp.pad(dy, ((0, 0), (0, height % 2), (0, width % 2), (0, 0))))
    products = []  # by row and column of the places: [C, O]
    for tiles, row in zip(_tiles(x, taps, padding), _slopes(dy, 1, taps), strict=True):
        parts = [
            jnp.einsum("knc,kno->kco", _flat(part), _flat(slopes))
            for part, slopes in zip(tiles, _slopes(row, 3, taps), strict=True)
        ]
        count = len(row)
        products += [[y for part in parts for y in part[i::count]] for i in range(count)]
    back = tuple(zip(*_OF_KERNEL[taps], strict=True))
    return jnp.stack([jnp.stack(row) for row in _both_axes(back, products)])


def _flat(tiles: jax.Array) -> jax.Array:
    """[columns, rows, B, h / 2, w / 2, C] -> [places, tiles, C]."""
    return tiles.reshape(tiles.shape[0] * tiles.shape[1], -1, tiles.shape[-1])


def _both_axes(matrix: Matrix, square) -> list[list[jax.Array]]:
    """The matrix applied to rows and to columns of a square of arrays."""

    def combined(parts):
        return [
            sum(weight * part for weight, part in zip(row, parts, strict=True) if weight)
            for row in matrix
        ]

    columns = [combined(column) for column in zip(*square, strict=True)]
    return [combined(row) for row in zip(*columns, strict=True)]


def _tiles(x: jax.Array, taps: int, padding: int) -> list[list[jax.Array]]:
    """The transformed tiles of a map, by parts of their rows and of their columns:
    [columns, rows, B, h / 2, w / 2, C], rounded up.
    """
    sides = [(padding, padding + size % 2) for size in _sizes(x, taps, padding)]
    # Once: what makes the map would be computed again in every transform.
    x = in_order.together(jnp.pad(x, ((0, 0), *sides, (0, 0))))
    return [_parts(rows, 3, taps) for rows in _parts(x, 1, taps)]


def _sizes(x: jax.Array, taps: int, padding: int) -> tuple[int, int]:
    """Of the convolution's result."""
    height, width = (side + 2 * padding - taps + 1 for side in x.shape[1:3])
    return height, width


def _parts(x: jax.Array, axis: int, taps: int) -> list[jax.Array]:
    """The tiles along an axis of a map, with their places in front of all axes."""

    def pixels(begin, end, step=1):
        return lax.slice_in_dim(x, begin, end, step, axis)

    size = x.shape[axis]
    outer = _halved(pixels(0, size - taps + 1) - pixels(taps - 1, size), axis)
    if taps == 2:
        return [outer, pixels(1, size - 1, 2)[None]]
    first, second = pixels(1, size - 2, 2), pixels(2, size - 1, 2)
    return [outer, (first + second)[None], (second - first)[None]]


def _merged(parts: list[jax.Array], axis: int) -> jax.Array:
    """The results along an axis, of products at all places: with an axis of 2 at `axis`."""
    outer, *inner = parts
    y = jnp.moveaxis(outer, 0, axis) + jnp.expand_dims(inner[0][0], axis)
    if len(inner) == 1:
        return y
    signs = np.array([1, -1], np.float32).reshape(2, *[1] * (y.ndim - axis - 1))
    return y + signs * jnp.expand_dims(inner[1][0], axis)


def _slopes(dy: jax.Array, axis: int, taps: int) -> list[jax.Array]:
    """The gradient of `_merged`: of results along an axis, that of the products at all places."""
    outer = _halved(dy, axis)
    inner = [outer[:1] + outer[1:], outer[:1] - outer[1:]]
    return [outer, *inner[: taps - 1]]


def _halved(x: jax.Array, axis: int) -> jax.Array:
    """The even and the odd positions of an axis, in front of all axes."""
    *before, size = x.shape[: axis + 1]
    return jnp.moveaxis(x.reshape(*before, size // 2, 2, *x.shape[axis + 1 :]), axis + 1, 0)
