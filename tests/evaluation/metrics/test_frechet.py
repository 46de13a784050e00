"""The Fréchet distance against 50-digit arithmetic and closed forms."""

import numpy as np
import pytest

from t2i_jax.evaluation.metrics.frechet import (
    frechet_distance,
    frechet_distance_of_few,
    gaussian_distance,
)
from t2i_jax.evaluation.metrics.moments import Moments

# Relative: what the singular and badly scaled cases lose in the roots of covariances.
CASES = {
    "regular": 1e-12,
    "mean_only": 1e-12,
    "constant_and_duplicate_columns": 1e-12,
    "inception_like_f32": 1e-12,
    "rank_deficient": 5e-9,
    "two_samples": 5e-9,
    "ill_scaled": 5e-9,
}


def moments(features):
    made = Moments(features.shape[1])
    made.add(features)
    return made


def by_moments(x, y):
    return frechet_distance(moments(x), moments(y))


@pytest.mark.parametrize("way", [by_moments, frechet_distance_of_few])
@pytest.mark.parametrize("case", CASES)
def test_equals_50_digit_arithmetic(golden, case, way):
    x, y = golden[f"fid.{case}.x"], golden[f"fid.{case}.y"]
    exact = pytest.approx(float(golden[f"fid.{case}.exact"]), rel=CASES[case])
    assert way(x, y) == exact
    assert way(y, x) == exact


@pytest.mark.parametrize("case", CASES)
def test_the_features_themselves_lose_no_digits(golden, case):
    value = frechet_distance_of_few(golden[f"fid.{case}.x"], golden[f"fid.{case}.y"])
    assert value == pytest.approx(float(golden[f"fid.{case}.exact"]), rel=1e-12)


@pytest.mark.parametrize("way", [by_moments, frechet_distance_of_few])
def test_of_a_set_with_itself_is_0(golden, way):
    x = golden["fid.identical.x"]
    assert 0 <= way(x, golden["fid.identical.y"]) < 1e-12


@pytest.mark.parametrize("rows, width", [(600, 512), (100, 512), (2, 512)])
def test_of_a_large_set_with_itself_is_0(rows, width):
    x = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
    assert 0 <= by_moments(x, x) < 1e-6
    assert 0 <= by_moments(x, x[::-1]) < 1e-6
    assert 0 <= frechet_distance_of_few(x, x) < 1e-6


def test_of_gaussians_whose_covariances_commute():
    """Diagonal ones: the sum of squared differences of means and of deviations."""
    rng = np.random.default_rng(1)
    means, deviations = rng.normal(size=(2, 9)), rng.uniform(0, 3, size=(2, 9))
    deviations[0, :2] = 0
    rotation = np.linalg.qr(rng.normal(size=(9, 9)))[0]
    covariances = [(rotation * d**2) @ rotation.T for d in deviations]
    expected = np.sum((means[0] - means[1]) ** 2) + np.sum((deviations[0] - deviations[1]) ** 2)
    found = gaussian_distance(means[0], covariances[0], means[1], covariances[1])
    assert found == pytest.approx(expected, rel=1e-7)


def test_rows_may_come_in_any_batches(golden):
    x, y = golden["fid.inception_like_f32.x"], golden["fid.inception_like_f32.y"]
    parts = [Moments(x.shape[1]) for _ in range(4)]
    for part, rows in zip(parts, np.array_split(x, 4), strict=True):
        part.add(rows)
    for part in parts[1:]:
        parts[0].merge(part)
    assert frechet_distance(parts[0], moments(y)) == pytest.approx(by_moments(x, y), rel=1e-12)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="widths 3 and 4 differ"):
        frechet_distance_of_few(np.ones((5, 3)), np.ones((5, 4)))
    with pytest.raises(ValueError, match="widths 3 and 4 differ"):
        by_moments(np.ones((5, 3)), np.ones((5, 4)))
    with pytest.raises(ValueError, match="two rows at least, not 1"):
        frechet_distance_of_few(np.ones((1, 3)), np.ones((5, 3)))
    with pytest.raises(ValueError, match="the second set: row 4 holds NaN"):
        frechet_distance_of_few(np.ones((5, 3)), [[1, 1, 1]] * 4 + [[1, np.nan, 1]])
    with pytest.raises(ValueError, match=r"a covariance of \(2, 2\)"):
        gaussian_distance(np.ones(3), np.eye(3), np.ones(3), np.eye(2))
    with pytest.raises(ValueError, match="not finite"):
        gaussian_distance(np.ones(3), np.eye(3) * np.nan, np.ones(3), np.eye(3))
