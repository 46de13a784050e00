"""Pools over 3x3 positions by sums and maxima of whole maps.

XLA:CPU computes windows number by number, and the gradient of a maximum over them by a map of
indices and a scatter. The numbers are those of ``flax.linen.max_pool`` and ``avg_pool`` but for the
order of sums, and the gradient of a maximum goes to the first of those that are equal, as there.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax


def halving_maximum(x: jax.Array) -> jax.Array:
    """The largest of 3x3 positions, every second one, without padding: [B, H, W, C] ->
    [B, (H - 1) // 2, (W - 1) // 2, C].
    """
    rows, columns = ((side - 3) // 2 * 2 + 1 for side in x.shape[1:3])
    parts = [x[:, i : i + rows : 2, j : j + columns : 2] for i in range(3) for j in range(3)]
    return functools.reduce(_larger, parts)


def _larger(a: jax.Array, b: jax.Array) -> jax.Array:
    """NaN where one is. Not ``jnp.maximum``, whose gradient goes to equal ones by halves."""
    return jnp.where((b > a) | (b != b), b, a)


def sums(x: jax.Array) -> jax.Array:
    """Of the 3x3 positions around each one, of which those outside are 0: [B, H, W, C] -> the same
    shape. Along one axis, then the other: four additions for eight.
    """
    for axis in (2, 1):
        around = [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)]
        padded, size = jnp.pad(x, around), x.shape[axis]
        x = sum(lax.slice_in_dim(padded, i, i + size, 1, axis) for i in range(3))
    return x
