"""Classification of attributes in closed form, and degraded images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.losses import attributes
from t2i_jax.losses.degradations import degrade

IMAGES = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 3)), jnp.float32)


def test_cross_entropy_by_hand():
    """Two attributes, of 2 and 3 values: p(label) is 1/2 and 3/4, then 1/3 and e^2 / (e^2 + 2)."""
    logits = jnp.array([[0.0, 0.0, 0.0, 0.0, 0.0], [0.0, np.log(3.0), 0.0, 2.0, 0.0]])
    labels = jnp.array([[0, 2], [1, 1]])
    loss, right = attributes.cross_entropy(logits, labels, (2, 3))
    sure = np.exp(2) / (np.exp(2) + 2)
    expected = -np.mean([np.log(1 / 2), np.log(3 / 4), np.log(1 / 3), np.log(sure)])
    assert loss == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(right, [1.0, 0.5])  # of equal logits the first is the largest


def test_other_shapes_are_refused():
    with pytest.raises(AssertionError):
        attributes.cross_entropy(jnp.zeros((2, 4)), jnp.zeros((2, 2), int), (2, 3))
    with pytest.raises(AssertionError):
        attributes.cross_entropy(jnp.zeros((2, 5)), jnp.zeros((2, 3), int), (2, 3))


def test_degraded_images_are_a_function_of_the_key():
    once = jax.jit(degrade)
    first, again, other = (once(IMAGES, jax.random.key(k)) for k in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.05
    assert np.abs(first).max() <= 1 and np.isfinite(first).all()
    apart = np.abs(np.asarray(first - IMAGES)).mean(axis=(1, 2, 3))
    assert (apart > 0.01).all() and np.ptp(apart) > 0.05  # each by a strength of its own


def test_degraded_images_do_not_depend_on_the_number_of_devices():
    key = jax.random.key(3)
    expected = jax.jit(degrade)(IMAGES, key)
    parts = jax.pmap(lambda x: degrade(x, key, "data"), "data")(IMAGES.reshape(4, 2, 16, 16, 3))
    np.testing.assert_allclose(parts.reshape(IMAGES.shape), expected, atol=1e-6)


def test_a_flat_image_keeps_its_colour_on_average():
    """Blur leaves it flat, tints and gratings and noise have mean 0 over many images."""
    grey = jnp.full((256, 16, 16, 3), 0.2)
    seen = np.asarray(jax.jit(degrade)(grey, jax.random.key(4)))
    assert seen.mean() == pytest.approx(0.2, abs=0.01)
    per_image = seen.mean(axis=(1, 2, 3))
    assert 0.01 < per_image.std() < 0.12
    assert 0.02 < seen.std(axis=(1, 2)).mean() < 0.4
