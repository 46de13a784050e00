"""PRNG keys. All keys of the package begin here, so that a seed gives the same numbers everywhere.

The algorithm is named: under ``JAX_DEFAULT_PRNG_IMPL=rbg`` jax would draw all rows of a vmapped
draw from the first row's key, and an image would depend on those beside it.
"""

import jax
import numpy as np


def from_seed(seed: int) -> jax.Array:
    """A typed threefry key, whatever jax's default is.

    Raises ValueError for a seed outside 0 .. 2**32 - 1: jax would silently fold it onto another.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed!r}: must be a whole number from 0 to {2**32 - 1}")
    return jax.random.key(int(seed), impl="threefry2x32")
