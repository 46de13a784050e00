"""The orthogonal initializer."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg


def orthogonal(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
    """Initializer: as a matrix whose columns are along the last axis, its columns or its rows,
    whichever are fewer, are orthonormal, and uniformly distributed.

    The distribution of `jax.nn.initializers.orthogonal`, whose programs take 0.3 s a shape to
    compile on CPUs, and as long to run as a decomposition takes. This is done by NumPy, on the host
    of any device, with the key as the seed.
    """
    columns = shape[-1]
    rows = math.prod(shape) // columns

    def draw(words: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(np.asarray(words).tolist())
        q = uniform(rng, max(rows, columns), min(rows, columns))
        return (q if rows >= columns else q.T).reshape(shape).astype(dtype)

    drawn = jax.ShapeDtypeStruct(tuple(shape), dtype)
    return jax.pure_callback(draw, drawn, jax.random.key_data(key), vmap_method="sequential")


def uniform(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """[rows, columns] float32, with orthonormal columns, of which there are not more than rows, by
    the uniform (Haar) distribution.

    Such is the Q of a Gaussian matrix, made unique by R's positive diagonal. After each reflection
    of that decomposition what remains is Gaussian again, so that the vectors to be reflected can be
    drawn, and nothing need be decomposed. Source: Stewart, "The efficient generation of random
    orthogonal matrices with an application to condition estimators" (1980).
    """
    # Vector i has its entries on the diagonal and below. The reflection takes it to the axis i,
    # in the direction (`sign`) that loses no digits.
    v = np.tril(rng.standard_normal((rows, columns), np.float32))
    first = np.diagonal(v).copy()
    sign = np.where(first < 0, np.float32(1), np.float32(-1))
    np.fill_diagonal(v, first - sign * np.sqrt(np.einsum("ij,ij->j", v, v)))
    # The product of all reflections is I - V T V'. T's inverse is the upper half of V'V, with half
    # of its diagonal (Puglisi, "Modification of the Householder method ...", 1992).
    inverse = v.T @ v
    np.fill_diagonal(inverse, np.diagonal(inverse) / 2)
    t = scipy.linalg.solve_triangular(inverse, v[:columns].T, check_finite=False)
    q = v @ -t
    q[np.diag_indices(columns)] += 1
    q *= sign
    return q
