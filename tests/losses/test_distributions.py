"""DR-GAN's losses against NumPy, their limits, finite differences and several devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.losses.distributions import (
    batch_norm_distance,
    mean_distance,
    moments,
    released_disentangling_total,
    released_semantic_disentangling,
    semantic_disentangling,
    squares_per_pixel,
)


def maps(seed, shape=(3, 4, 5, 6)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def softplus(x):
    return np.log1p(np.exp(x))


def test_the_papers_loss_compares_means_and_variances_of_each_sample():
    key, rest, real = maps(0), 2.0 * maps(1) + 0.5, 0.5 * maps(2) - 1.0
    expected = 0.0
    for statistic in (np.mean, np.var):
        k, r, t = (statistic(x.astype(np.float64), axis=(1, 2)) for x in (key, rest, real))
        gap = np.linalg.norm(k - t, axis=-1) - np.linalg.norm(r - t, axis=-1)
        expected += softplus(gap).mean()
    np.testing.assert_allclose(semantic_disentangling(key, rest, real), expected, rtol=1e-5)


def test_the_loss_falls_as_key_features_become_real_ones():
    real, other = maps(0), 3.0 + 2.0 * maps(1)
    good = semantic_disentangling(real, other, real)
    bad = semantic_disentangling(other, real, real)
    neutral = semantic_disentangling(real, real, real)
    assert good < neutral < bad
    np.testing.assert_allclose(neutral, 2 * np.log(2), rtol=1e-6)


def test_no_distance_has_a_gradient_that_is_not_a_number():
    x = jnp.asarray(maps(0))
    grads = jax.grad(semantic_disentangling, (0, 1, 2))(x, x, x)
    assert all(np.all(np.isfinite(g)) for g in grads)
    assert not np.any(jax.grad(batch_norm_distance)(x, x))


def test_variances_move_the_papers_form_alone():
    """Features stretched about their means: the released form cannot see it."""
    real = maps(0)
    mean, _ = moments(real)
    key = np.asarray(mean)[:, None, None] + 4.0 * (real - np.asarray(mean)[:, None, None])
    at_rest = semantic_disentangling(real, real, real)
    assert semantic_disentangling(key, real, real) > at_rest + 1.0
    codes = maps(1, (4, 6))
    stretched = codes.mean(0) + 4.0 * (codes - codes.mean(0))
    resting = released_semantic_disentangling(codes, codes, codes, 64)
    np.testing.assert_allclose(resting, 2 * np.log(2) + 2, rtol=1e-6)
    moved = released_semantic_disentangling(stretched, codes, codes, 64)
    np.testing.assert_allclose(moved, resting, rtol=1e-5)


def test_the_released_form_is_that_of_its_batch_means():
    key, rest, real = (maps(i, (3, 7)) * 4 for i in range(3))
    d = [np.sum((x.mean(0) - real.mean(0)) ** 2) / 64 for x in (key, rest)]
    expected = softplus(d[0] - d[1]) + np.exp(d[0]) + softplus(0) + np.exp(0)
    found = released_semantic_disentangling(key, rest, real, 64)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    total = released_disentangling_total([found, 2.0], [64, 128])
    np.testing.assert_allclose(total, 10.1 ** (expected / 64**2 + 2 / 128**2), rtol=1e-5)


def test_distances_are_those_of_numpy():
    x, y = maps(0, (2, 4, 4, 3)), maps(1, (2, 4, 4, 3))
    np.testing.assert_allclose(mean_distance(x, y), np.abs(x - y).mean(), rtol=1e-5)
    np.testing.assert_allclose(batch_norm_distance(x, y), np.linalg.norm(x - y), rtol=1e-5)
    np.testing.assert_allclose(squares_per_pixel(x, y), np.sum((x - y) ** 2) / 16, rtol=1e-5)


@pytest.mark.parametrize("loss", [batch_norm_distance, squares_per_pixel, "codes"])
def test_sums_over_the_batch_span_devices(loss):
    shape = (8, 4, 4, 3) if loss != "codes" else (8, 6)
    x, y, z = (jnp.asarray(maps(i, shape)) for i in range(3))

    def run(x, axis_name=None):
        if loss == "codes":
            return released_semantic_disentangling(*x, 64, axis_name=axis_name)
        return loss(*x[:2], axis_name)

    expected, grads = jax.value_and_grad(run)((x, y, z))
    parts = jax.tree.map(lambda a: a.reshape(4, 2, *a.shape[1:]), (x, y, z))
    split = jax.pmap(lambda part: jax.value_and_grad(run)(part, "data"), axis_name="data")
    values, local = split(parts)
    np.testing.assert_allclose(values, [expected] * 4, rtol=1e-5)
    # Every device differentiates the sum of four equal losses, which the step then averages.
    for g, whole in zip(local, grads, strict=True):
        np.testing.assert_allclose(g.reshape(whole.shape) / 4, whole, rtol=1e-4, atol=1e-7)
