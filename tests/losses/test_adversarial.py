"""Adversarial losses against optax and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from t2i_jax.losses.adversarial import bce, hinge_fake, hinge_generator, hinge_real

LOGITS = np.linspace(-6.0, 7.0, 12, dtype=np.float32).reshape(3, 4)
LOSSES = [lambda x: bce(x, 0.9), hinge_real, hinge_fake, hinge_generator]


@pytest.mark.parametrize("label", [0.0, 0.9, 1.0])
def test_bce_is_the_cross_entropy_of_each_logit(label):
    expected = optax.sigmoid_binary_cross_entropy(LOGITS, jnp.full_like(LOGITS, label))
    np.testing.assert_allclose(bce(LOGITS, label), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (4,), (3, 1)])
def test_bce_takes_an_array_of_labels(shape):
    labels = np.arange(np.prod(shape)).reshape(shape) % 2
    expected = optax.sigmoid_binary_cross_entropy(LOGITS, np.broadcast_to(labels, (3, 4)))
    np.testing.assert_allclose(bce(LOGITS, labels), expected, rtol=1e-6, atol=1e-6)


def test_bce_keeps_its_gradient_where_the_sigmoid_saturates():
    loss, slope = jax.value_and_grad(bce)(jnp.float32(-200.0), 1.0)
    assert loss == 200.0 and slope == -1.0


def test_hinge_is_that_of_optax():
    expected = {
        target: optax.hinge_loss(LOGITS, jnp.full_like(LOGITS, target)) for target in (1, -1)
    }
    np.testing.assert_allclose(hinge_real(LOGITS), expected[1], rtol=1e-6)
    np.testing.assert_allclose(hinge_fake(LOGITS), expected[-1], rtol=1e-6)
    np.testing.assert_array_equal(hinge_generator(LOGITS), -LOGITS)


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_have_the_shape_of_the_logits_and_are_float32(loss):
    losses = loss(jnp.asarray(LOGITS, jnp.bfloat16))
    assert losses.shape == (3, 4) and losses.dtype == jnp.float32


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_finite_differences(loss):
    check_grads(loss, (jnp.asarray(LOGITS) + 0.01,), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


def test_what_is_no_logit_or_no_label_of_them_is_refused():
    for loss in LOSSES:
        with pytest.raises(AssertionError, match="int32"):
            loss(np.array([0, 1], np.int32))
    with pytest.raises(AssertionError, match=r"\(2, 1\) is not broadcastable to shape \(2,\)"):
        bce(jnp.zeros(2), jnp.zeros((2, 1)))
