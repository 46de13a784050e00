"""The global batch as seen from a per-device program.

A train step is written once. Run under ``jax.jit`` over a mesh it is a global-view program: arrays
hold the global batch and ``axis_name`` is None, so every function here does the obvious thing on
one array. Run under ``jax.pmap`` (or ``shard_map``) it is a per-device program with an
``axis_name``: arrays hold one device's rows, and these functions gather, draw or slice so that the
result is the one the global-view program gets.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

# The distributions of `noise`, and their variances.
NOISE_VARIANCE = {"normal": 1.0, "uniform": 1.0 / 3.0}


def size(axis_name: str | None) -> int:
    """Number of devices along the axis; 1 in a global-view program."""
    return 1 if axis_name is None else lax.axis_size(axis_name)


def mean(tree, axis_name: str | None):
    """Mean over the axis, leaf by leaf."""
    return tree if axis_name is None else lax.pmean(tree, axis_name)


def gather(x: jax.Array, axis_name: str | None) -> jax.Array:
    """All rows of the global batch: local [B, ...] -> [B * devices, ...], in device order."""
    return x if axis_name is None else lax.all_gather(x, axis_name, axis=0, tiled=True)


def local(x: jax.Array, axis_name: str | None) -> jax.Array:
    """This device's rows of an array that holds the global batch: the inverse of `gather`."""
    if axis_name is None:
        return x
    rows = x.shape[0] // size(axis_name)
    return lax.dynamic_slice_in_dim(x, lax.axis_index(axis_name) * rows, rows)


def normal(key: jax.Array, shape: Sequence[int], axis_name: str | None) -> jax.Array:
    """Standard normal noise of local shape ``[B, ...]``: drawn for the global batch, then sliced.

    The same key gives the same global noise for any number of devices.
    """
    rows, *rest = shape
    return local(jax.random.normal(key, (rows * size(axis_name), *rest), jnp.float32), axis_name)


def uniform(
    key: jax.Array,
    shape: Sequence[int],
    axis_name: str | None,
    minval: float = 0.0,
    maxval: float = 1.0,
) -> jax.Array:
    """Uniform noise of local shape ``[B, ...]`` in [minval, maxval), drawn like `normal`."""
    rows, *rest = shape
    full = jax.random.uniform(key, (rows * size(axis_name), *rest), jnp.float32, minval, maxval)
    return local(full, axis_name)


def noise(
    distribution: str, key: jax.Array, shape: Sequence[int], axis_name: str | None
) -> jax.Array:
    """Noise of local shape ``[B, ...]``, drawn like `normal`: "normal" is N(0, 1), "uniform" is
    U(-1, 1). KeyError for a name that `NOISE_VARIANCE` lacks.
    """
    draws = {"normal": normal, "uniform": functools.partial(uniform, minval=-1.0, maxval=1.0)}
    return draws[distribution](key, shape, axis_name)


def roll(x: jax.Array, shift: int, axis_name: str | None) -> jax.Array:
    """Rows of the global batch moved down by `shift`, cyclically (mismatched pairs by shift)."""
    return local(jnp.roll(gather(x, axis_name), shift, axis=0), axis_name)
