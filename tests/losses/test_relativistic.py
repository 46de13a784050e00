"""The pairing loss against its formula and finite differences."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from t2i_jax.losses.relativistic import pairing

REAL = np.array([2.0, -1.0, 0.5], np.float32)
FAKE = np.array([-1.0, 3.0, 0.5], np.float32)


def test_it_is_the_log_loss_of_the_difference():
    expected = -np.log(1.0 / (1.0 + np.exp(-(REAL - FAKE))))
    np.testing.assert_allclose(pairing(REAL, FAKE), expected, rtol=1e-6)


def test_only_the_difference_counts():
    np.testing.assert_allclose(pairing(REAL + 7.0, FAKE + 7.0), pairing(REAL, FAKE), rtol=1e-6)
    # log-odds of the two players: softplus(-t) - softplus(t) = -t.
    np.testing.assert_allclose(pairing(REAL, FAKE) - pairing(FAKE, REAL), FAKE - REAL, atol=1e-6)


def test_gradients_are_finite_differences():
    arguments = jnp.asarray(REAL), jnp.asarray(FAKE)
    check_grads(pairing, arguments, order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


def test_pairs_are_float32_and_of_one_shape():
    assert pairing(jnp.asarray(REAL, jnp.bfloat16), jnp.asarray(FAKE)).dtype == jnp.float32
    with pytest.raises(AssertionError):
        pairing(REAL, FAKE[:2])
