"""The orthogonal initializer, against the uniform distribution's moments and jax's own draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.models.orthogonal import orthogonal, uniform


@pytest.mark.parametrize(
    "shape", [(3, 3, 8, 6), (4, 64), (16, 16), (1, 1, 5, 1), (1, 1), (700, 300)]
)
def test_rows_or_columns_are_orthonormal(shape):
    kernel = orthogonal(jax.random.key(1), shape)
    assert kernel.shape == shape and kernel.dtype == jnp.float32
    matrix = np.float64(kernel).reshape(-1, shape[-1])
    matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=3e-6)


def test_a_key_gives_the_same_numbers_compiled_or_not():
    draw = jax.jit(lambda key: orthogonal(key, (3, 4, 5)))
    first, second = jax.random.split(jax.random.key(0))
    np.testing.assert_array_equal(draw(first), orthogonal(first, (3, 4, 5)))
    np.testing.assert_array_equal(
        jax.vmap(lambda key: orthogonal(key, (2, 2)))(jnp.stack([first, second])),
        [orthogonal(first, (2, 2)), orthogonal(second, (2, 2))],
    )
    assert np.abs(draw(first) - draw(second)).max() > 0.1


@pytest.mark.parametrize("shape", [(3, 3), (5, 2)])
def test_the_distribution_is_uniform(shape):
    """Known moments, of entries and of the trace; and those of jax's initializer. A Q whose signs
    were left as they come has other traces.
    """
    count, (m, n), rng = 8_000, shape, np.random.default_rng(0)
    found = np.stack([uniform(rng, m, n) for _ in range(count)]).astype(float)
    theirs = jax.vmap(lambda key: jax.nn.initializers.orthogonal()(key, shape))
    theirs = np.float64(theirs(jax.random.split(jax.random.key(0), count)))

    def close(values, wanted):
        error = 5 * np.std(values, axis=0) / np.sqrt(count)
        assert (np.abs(np.mean(values, axis=0) - wanted) < error).all()

    close(found, 0)
    close(found**2, 1 / m)
    close(found**4, 3 / (m * (m + 2)))
    for one in (found, theirs):
        trace = np.trace(one, axis1=1, axis2=2)
        close(trace, 0)
        close(trace**2, n / m)
    if m == n:
        close(np.trace(found @ found, axis1=1, axis2=2), 1)
        close(np.linalg.det(found), 0)
    order = np.sort(found[:, 0, 0]) - np.sort(theirs[:, 0, 0])
    assert np.abs(order).mean() < 0.02
