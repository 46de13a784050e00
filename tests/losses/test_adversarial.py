"""Adversarial losses against optax, Torch7's formula and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from t2i_jax.losses.adversarial import bce, hinge_fake, hinge_generator, hinge_real

LOGITS = np.linspace(-6.0, 7.0, 12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("label", [0.0, 0.9, 1.0])
def test_bce_is_the_mean_cross_entropy(label):
    expected = optax.sigmoid_binary_cross_entropy(LOGITS, jnp.full_like(LOGITS, label)).mean()
    assert bce(LOGITS, label) == pytest.approx(float(expected), rel=1e-6)


def test_bce_takes_a_label_for_each_logit():
    labels = np.arange(12).reshape(3, 4) % 2
    expected = optax.sigmoid_binary_cross_entropy(LOGITS, labels).mean()
    assert bce(LOGITS, labels) == pytest.approx(float(expected), rel=1e-6)


def test_weights_do_not_change_the_divisor():
    # Torch7: -mean_n w_n [y log(p + 1e-12) + (1 - y) log(1 - p + 1e-12)].
    x = LOGITS.ravel().astype(np.float64)
    weights = np.where(np.arange(x.size) < 8, 1.0, 0.5)
    p = 1 / (1 + np.exp(-x))
    expected = -np.sum(weights * np.log(p + 1e-12)) / x.size
    assert bce(x, 1.0, weights) == pytest.approx(expected, rel=1e-6)


def test_bce_keeps_its_gradient_where_the_sigmoid_saturates():
    loss, slope = jax.value_and_grad(bce)(jnp.float32(-200.0), 1.0)
    assert loss == 200.0 and slope == -1.0


def test_hinge_is_that_of_optax():
    expected = {
        target: optax.hinge_loss(LOGITS, jnp.full_like(LOGITS, target)) for target in (1, -1)
    }
    assert hinge_real(LOGITS) == pytest.approx(float(expected[1].mean()), rel=1e-6)
    assert hinge_fake(LOGITS) == pytest.approx(float(expected[-1].mean()), rel=1e-6)
    assert hinge_generator(LOGITS) == pytest.approx(-LOGITS.mean(), rel=1e-6)


@pytest.mark.parametrize("loss", [lambda x: bce(x, 1.0), hinge_real, hinge_fake, hinge_generator])
def test_terms_are_float32_scalars_whatever_the_compute_dtype(loss):
    term = loss(jnp.asarray(LOGITS, jnp.bfloat16))
    assert term.shape == () and term.dtype == jnp.float32


@pytest.mark.parametrize("loss", [lambda x: bce(x, 0.0), hinge_real, hinge_fake, hinge_generator])
def test_gradients_are_finite_differences(loss):
    check_grads(loss, (jnp.asarray(LOGITS) + 0.01,), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)
