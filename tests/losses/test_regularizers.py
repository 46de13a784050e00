"""Penalties against closed forms, NumPy and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.losses.regularizers import (
    color_consistency,
    color_moments,
    gaussian_kl,
    mode_seeking,
)


def test_kl_is_that_of_the_closed_form_and_of_an_integral():
    mu, logvar = 0.7, -0.4
    x = np.linspace(-12, 12, 200_001)
    sigma = np.exp(logvar / 2)
    log_p = -0.5 * ((x - mu) / sigma) ** 2 - np.log(sigma)
    density = np.exp(log_p) / np.sqrt(2 * np.pi)
    integral = np.trapezoid(density * (log_p + 0.5 * x**2), x)
    rows = jnp.full((3, 5), mu), jnp.full((3, 5), logvar)
    np.testing.assert_allclose(gaussian_kl(*rows), integral, rtol=1e-5)
    np.testing.assert_allclose(gaussian_kl(*rows, "sum"), 5 * integral, rtol=1e-5)
    assert gaussian_kl(jnp.zeros((2, 4)), jnp.zeros((2, 4))) == 0
    with pytest.raises(ValueError, match="reduction must be"):
        gaussian_kl(*rows, "total")


def images(sizes, rows=2):
    rng = np.random.default_rng(0)
    return [rng.uniform(-1, 1, (rows, size, size, 3)).astype(np.float32) for size in sizes]


def test_moments_are_those_of_numpy():
    (x,) = images([8])
    mean, covariance = color_moments(x)
    for i, picture in enumerate(x.reshape(2, -1, 3)):
        np.testing.assert_allclose(mean[i], picture.mean(0), atol=1e-6)
        np.testing.assert_allclose(covariance[i], np.cov(picture.T, bias=True), atol=1e-6)


def moments(x):
    flat = x.reshape(len(x), -1, 3).astype(np.float64)
    return flat.mean(1), np.stack([np.cov(f.T, bias=True) for f in flat])


def test_the_papers_form_sums_squared_norms_over_all_pairs():
    pictures = images([2, 4, 8, 8])
    expected = 0.0
    for low, high in zip(pictures[:-1], pictures[1:], strict=True):
        (m0, c0), (m1, c1) = moments(low), moments(high)
        squares = ((m1 - m0) ** 2).sum(1) + 5 * ((c1 - c0) ** 2).sum((1, 2))
        expected += squares.mean()
    np.testing.assert_allclose(color_consistency(pictures), expected, rtol=1e-5)


def test_the_released_form_takes_means_of_the_two_topmost_pairs():
    pictures = images([2, 4, 8, 8])
    expected = 0.0
    for low, high in zip(pictures[1:-1], pictures[2:], strict=True):
        (m0, c0), (m1, c1) = moments(low), moments(high)
        expected += ((m1 - m0) ** 2).mean() + 5 * ((c1 - c0) ** 2).mean()
    np.testing.assert_allclose(color_consistency(pictures, "released"), expected, rtol=1e-5)


@pytest.mark.parametrize("form", ["paper", "released"])
def test_gradients_reach_the_scales_that_they_should(form):
    low, high = images([2, 4])
    grads = jax.grad(lambda low, high: color_consistency([low, high], form), (0, 1))(low, high)
    step = 1e-2
    for i, (name, x) in enumerate((("low", low), ("high", high))):
        plus, minus = x.copy(), x.copy()
        plus[1, 0, 1, 2] += step
        minus[1, 0, 1, 2] -= step
        ends = [[y, high] if i == 0 else [low, y] for y in (plus, minus)]
        slope = (color_consistency(ends[0], form) - color_consistency(ends[1], form)) / (2 * step)
        if form == "released" and name == "low":
            assert not np.any(grads[i]) and slope != 0
        else:
            np.testing.assert_allclose(grads[i][1, 0, 1, 2], slope, rtol=1e-2, atol=1e-4)


def test_one_scale_is_consistent_and_other_forms_are_refused():
    assert color_consistency(images([4])) == 0
    with pytest.raises(ValueError, match="form must be"):
        color_consistency(images([4]), "code")


def test_other_shapes_are_refused():
    with pytest.raises(AssertionError, match="different shapes"):
        gaussian_kl(jnp.zeros((2, 4)), jnp.zeros((2, 1)))
    with pytest.raises(AssertionError, match=r"expected \(None, None, None, 3\)"):
        color_moments(jnp.zeros((2, 3, 4, 4)))
    with pytest.raises(AssertionError, match="different shapes at dims 0"):
        color_consistency(images([2]) + images([4], rows=1))


def test_mode_seeking_is_the_mean_of_reciprocal_slopes():
    """Of images that lie 0.5 and 0.1 apart where their noise lies 2 apart; copies cost much."""
    images = np.zeros((2, 4, 4, 3), np.float32)
    others = images + np.reshape([0.5, -0.1], (2, 1, 1, 1)).astype(np.float32)
    noise, other = np.zeros((2, 6), np.float32), np.full((2, 6), -2.0, np.float32)
    np.testing.assert_allclose(
        mode_seeking(images, others, noise, other), (2 / 0.5 + 2 / 0.1) / 2, rtol=1e-3
    )
    slope = jax.grad(lambda x: mode_seeking(images, x, noise, other))(others)
    step = 1e-2 * np.sign(others)
    moved = [mode_seeking(images, others + s * step, noise, other) for s in (1, -1)]
    np.testing.assert_allclose(np.vdot(slope, 2 * step), moved[0] - moved[1], rtol=2e-2)
    assert mode_seeking(images, images, noise, other) == pytest.approx(1e5)
    same = mode_seeking(images, others, noise, noise)
    assert np.isfinite(same) and same < 1e-3, "rows of the same noise ask for nothing"
