"""Pools against the windows of Flax."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.encoders import pools


def maps(shape, integers):
    rng = np.random.default_rng(0)
    values = rng.integers(-1, 2, shape) if integers else rng.normal(size=shape)
    return jnp.asarray(values, jnp.float32)


def both(form, x):
    """Values and gradient of one weighted sum of them."""
    y, back = jax.vjp(form, x)
    return y, back(maps(y.shape, False))[0]


@pytest.mark.parametrize("side", [3, 7, 8])
@pytest.mark.parametrize("integers", [False, True], ids=["distinct", "many equal"])
def test_halving_maximum(side, integers):
    x = maps((2, side, side + 1, 3), integers)
    found = both(pools.halving_maximum, x)
    expected = both(lambda x: nn.max_pool(x, (3, 3), (2, 2)), x)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("place", [0, 4, 8])
def test_what_is_not_a_number_stays_so(place):
    x = jnp.arange(9.0).at[place].set(jnp.nan).reshape(1, 3, 3, 1)
    assert jnp.isnan(pools.halving_maximum(x)).all()


@pytest.mark.parametrize("side", [1, 2, 5])
def test_sums(side):
    x = maps((2, side, side + 1, 3), False)
    found = both(pools.sums, x)
    expected = both(lambda x: 9 * nn.avg_pool(x, (3, 3), (1, 1), "SAME"), x)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
