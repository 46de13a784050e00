"""Distances and similarities of the images of a caption."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from t2i_jax.evaluation.metrics.diversity import distances, similarity
from t2i_jax.evaluation.metrics.ms_ssim import ms_ssim


def test_distances_by_hand():
    """0, 1, 3 on a line: 1, 2 and 3 apart, the nearest are 1, 1 and 2 away. And three copies."""
    line = np.array([[0.0], [1.0], [3.0]])
    assert distances(line[None]) == pytest.approx((2.0, 4 / 3))
    both = np.stack([line, np.ones((3, 1))])
    assert distances(both) == pytest.approx((1.0, 2 / 3))


def test_two_modes_are_seen_by_the_nearest_neighbour_alone():
    modes = np.repeat(np.array([[0.0, 0.0], [1.0, 0.0]]), 8, axis=0)
    mean, nearest = distances(modes[None])
    assert mean > 0.5 and nearest == 0


def images(count, side, blur=2.0, seed=0):
    noise = np.random.default_rng(seed).normal(size=(count, side, side, 3))
    smooth = gaussian_filter(noise, (0, blur, blur, 0))
    return np.clip(127 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def test_ms_ssim_of_flat_images_is_their_luminance_term():
    """Without variance the structure is 1 at each scale; of 50 and 150 the rest is closed."""
    a, b = (np.full((1, 64, 48, 3), v, np.uint8) for v in (50, 150))
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 50 * 150 + c1) / (50**2 + 150**2 + c1)
    np.testing.assert_allclose(ms_ssim(a, b), luminance**0.1333, rtol=1e-9)


def in_windows(x, y):
    """Luminance and structure of two grey images, window by window, with the paper's weights."""
    side = min(11, *x.shape)
    offsets = np.arange(side) - (side - 1) / 2
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * (1.5 * side / 11) ** 2))
    weights, found = weights / weights.sum(), []
    for i, j in np.ndindex(x.shape[0] - side + 1, x.shape[1] - side + 1):
        u, v = (z[i : i + side, j : j + side] for z in (x, y))
        mean_u, mean_v = (np.sum(weights * z) for z in (u, v))
        du, dv = u - mean_u, v - mean_v
        c1, c2 = 2.55**2, 7.65**2
        structure = 2 * np.sum(weights * du * dv) + c2
        structure /= np.sum(weights * (du**2 + dv**2)) + c2
        luminance = (2 * mean_u * mean_v + c1) / (mean_u**2 + mean_v**2 + c1)
        found.append((luminance * structure, structure))
    return np.mean(found, axis=0)


def test_ms_ssim_of_small_images_window_by_window():
    """26 x 21 pixels: windows of 11, 10, 5, 2 and 1."""
    a = images(1, 26)[:, :, :21, :1]
    b = np.clip(a + np.random.default_rng(2).normal(0, 25, a.shape), 0, 255).astype(np.uint8)
    x, y, expected = a[0, ..., 0].astype(float), b[0, ..., 0].astype(float), 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        expected *= in_windows(x, y)[int(scale < 4)] ** weight
        h, w = x.shape[0] // 2, x.shape[1] // 2
        x, y = (
            np.array(
                [
                    [z[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean() for j in range(w)]
                    for i in range(h)
                ]
            )
            for z in (x, y)
        )
    assert 0.1 < expected < 0.99
    assert ms_ssim(a, b)[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("side", [16, 65, 180])
def test_ms_ssim_is_1_for_equal_images_and_falls_with_noise(side):
    a = images(3, side)
    np.testing.assert_allclose(ms_ssim(a, a), 1, rtol=1e-12)
    noise = np.random.default_rng(1).normal(size=a.shape)
    light, heavy = (np.clip(a + s * noise, 0, 255).astype(np.uint8) for s in (10, 60))
    assert (1 > ms_ssim(a, light)).all() and (ms_ssim(a, light) > ms_ssim(a, heavy)).all()
    np.testing.assert_allclose(ms_ssim(a, light), ms_ssim(light, a), rtol=1e-12)


def test_similarity_is_the_mean_over_pairs_of_a_caption():
    a = images(6, 32).reshape(2, 3, 32, 32, 3)
    pairs = [ms_ssim(a[c, [i]], a[c, [j]])[0] for c in (0, 1) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert similarity(a) == pytest.approx(np.mean(pairs))
    assert similarity(np.repeat(a[:, :1], 4, axis=1)) == pytest.approx(1)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="float64"):
        ms_ssim(np.zeros((1, 32, 32, 3)), np.zeros((1, 32, 32, 3)))
    with pytest.raises(ValueError, match="have no 5 scales"):
        ms_ssim(*np.zeros((2, 1, 8, 32, 3), np.uint8))
    with pytest.raises(ValueError, match="two samples"):
        similarity(np.zeros((4, 1, 32, 32, 3), np.uint8))
