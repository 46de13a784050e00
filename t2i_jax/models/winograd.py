"""Minimal filtering: 2x2 results of a convolution by fewer products than taps.

Winograd's F(2x2, 3x3) of Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv
1509.09308, section 4.1), and the same with kernels of 2x2: 16 products for four results in place of
36, and 9 in place of 16. Tiles of the map and the kernel are transformed, multiplied channel by
channel in one matrix product for each place in a tile, and transformed back. The coefficients are 1
and 1/2, so that float32 keeps its precision.

Sizes are those of stride 1: with padding p, a map of H rows and k x k taps give H + 2p - k + 1.
"""

import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax import in_order

Matrix = tuple[tuple[float, ...], ...]

# By the number of taps: how a tile, a kernel and the products of both are transformed along an axis
# (B^T, G and A^T of the paper).
_OF_TILE: dict[int, Matrix] = {
    2: ((1, -1, 0), (0, 1, 0), (0, -1, 1)),
    3: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
}
_OF_KERNEL: dict[int, Matrix] = {
    2: ((1, 0), (1, 1), (0, 1)),
    3: ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
}
_BACK: dict[int, Matrix] = {
    2: ((1, 1, 0), (0, 1, 1)),
    3: ((1, 1, 1, 0), (0, 1, -1, -1)),
}


def convolve(x: jax.Array, kernel: jax.Array, padding: int = 1) -> jax.Array:
    """[B, H, W, C] with a kernel [k, k, C, O], k 2 or 3, stride 1: -> [B, h, w, O]."""
    return _filtered(x, _transformed(kernel), "nc,co->no", len(kernel), padding)


def input_gradient(dy: jax.Array, kernel: jax.Array, padding: int = 1) -> jax.Array:
    """The gradient of `convolve` in its map, of the result's [B, h, w, O]: -> [B, H, W, C]."""
    taps = len(kernel)
    # Turned by half a circle, a kernel's transform has its first and its last place changed.
    turn = [*range(taps + 1)]
    turn[0], turn[-1] = turn[-1], turn[0]
    kernels = _transformed(kernel)
    kernels = [[kernels[i][j] for j in turn] for i in turn]
    return _filtered(dy, kernels, "no,co->nc", taps, taps - 1 - padding)


def _transformed(kernel: jax.Array) -> list[list[jax.Array]]:
    """The transformed kernel, by its places: [C, O]."""
    matrix = _OF_KERNEL[len(kernel)]
    return [_combined(matrix, row) for row in _combined(matrix, kernel)]


def _filtered(
    x: jax.Array, kernels: list[list[jax.Array]], product: str, taps: int, padding: int
) -> jax.Array:
    height, width = (side + 2 * padding - taps + 1 for side in x.shape[1:3])
    products = []
    for maps, row in zip(_tiles(x, taps, padding), kernels, strict=True):
        pairs = zip(maps, row, strict=True)
        flat = [(m.shape, jnp.einsum(product, m.reshape(-1, m.shape[-1]), k)) for m, k in pairs]
        products.append([y.reshape(*shape[:-1], y.shape[-1]) for shape, y in flat])
    (a, b), (c, d) = _both_axes(_BACK[taps], products)
    whole = jnp.stack([jnp.stack([a, b], 3), jnp.stack([c, d], 3)], 2)
    batch, rows, _, columns, _, features = whole.shape
    whole = whole.reshape(batch, 2 * rows, 2 * columns, features)[:, :height, :width]
    return in_order.together(whole)


def kernel_gradient(x: jax.Array, dy: jax.Array, taps: int, padding: int = 1) -> jax.Array:
    """The gradient of `convolve` in its kernel, of the map [B, H, W, C] and the result's gradient
    [B, h, w, O]: -> [taps, taps, C, O].
    """
    maps = _tiles(x, taps, padding)
    c, features = x.shape[-1], dy.shape[-1]
    height, width = dy.shape[1:3]
    dy = in_order.together(jnp.pad(dy, ((0, 0), (0, height % 2), (0, width % 2), (0, 0))))
    back = _turned(_BACK[taps])
    slopes = [
        _combined(back, [row[:, :, i::2] for i in range(2)])
        for row in _combined(back, [dy[:, i::2] for i in range(2)])
    ]
    products = [
        [m.reshape(-1, c).T @ s.reshape(-1, features) for m, s in zip(*rows, strict=True)]
        for rows in zip(maps, slopes, strict=True)
    ]
    return jnp.stack([jnp.stack(row) for row in _both_axes(_turned(_OF_KERNEL[taps]), products)])


def _tiles(x: jax.Array, taps: int, padding: int) -> list[list[jax.Array]]:
    """The transformed tiles of a map, by their places: maps [B, h / 2, w / 2, C], rounded up."""
    height, width = (side + 2 * padding - taps + 1 for side in x.shape[1:3])
    sides = [(padding, padding + side % 2) for side in (height, width)]
    # Once: what makes the map would be computed again in every transform.
    x = in_order.together(jnp.pad(x, ((0, 0), *sides, (0, 0))))
    transform = _OF_TILE[taps]
    places = range(len(transform))

    def every_second(x, axis, size):
        size = 2 * ((size + 1) // 2) - 1
        return [lax.slice_in_dim(x, i, i + size, 2, axis) for i in places]

    rows = _combined(transform, every_second(x, 1, height))
    return [_combined(transform, every_second(row, 2, width)) for row in rows]


def _both_axes(matrix: Matrix, parts: list[list[jax.Array]]) -> list[list[jax.Array]]:
    """The matrix applied to rows and to columns of a square of arrays."""
    columns = [_combined(matrix, column) for column in zip(*parts, strict=True)]
    return [_combined(matrix, row) for row in zip(*columns, strict=True)]


def _combined(matrix: Matrix, parts) -> list[jax.Array]:
    """Weighted sums of arrays, one for each row of the matrix."""
    return [
        sum(weight * part for weight, part in zip(row, parts, strict=True) if weight)
        for row in matrix
    ]


def _turned(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))
