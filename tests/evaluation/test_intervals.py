"""Intervals of means against SciPy's bootstrap and against the truth that they should hold."""

import numpy as np
import pytest
from scipy import stats

from t2i_jax.evaluation import intervals


def test_of_one_rater_it_is_the_bootstrap_of_items():
    values = np.random.default_rng(0).exponential(size=80)
    ((mean, low, high),) = intervals.crossed(values[None, :, None])
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert mean == pytest.approx(values.mean())
    assert [low, high] == pytest.approx(list(expected), abs=0.05 * (high - low))


def test_raters_that_differ_widen_it():
    """Ten raters with a taste each: their mean is known no better than ten numbers tell."""
    rng = np.random.default_rng(2)
    tastes = rng.normal(size=(10, 1, 1))
    values = tastes + 0.1 * rng.normal(size=(10, 200, 1))
    ((_, low, high),) = intervals.crossed(values)
    as_if_independent = 2 * 1.96 * values.std() / np.sqrt(values.size)
    of_ten = 2 * 1.96 * tastes.std() / np.sqrt(10)
    assert high - low == pytest.approx(of_ten, rel=0.15) and high - low > 5 * as_if_independent


def test_it_holds_the_truth_in_about_19_of_20_cases():
    rng, held = np.random.default_rng(3), 0
    for _ in range(150):
        values = (
            1
            + rng.normal(size=(12, 1, 1))
            + rng.normal(size=(1, 15, 1))
            + rng.normal(size=(12, 15, 1))
        )
        ((_, low, high),) = intervals.crossed(values)
        held += low <= 1 <= high
    assert 0.88 < held / 150 <= 1


def test_what_is_missing_does_not_count():
    values = np.full((2, 3, 2), np.nan)
    values[0, :2, 0], values[1, 2, 0], values[:, :, 1] = [1, 2], 6, 4
    (mean, low, high), constant = intervals.crossed(values)
    assert mean == 3 and 1 <= low <= 3 <= high <= 6 and constant == (4, 4, 4)
    assert np.isnan(intervals.crossed(np.full((2, 3, 1), np.nan))).all()
    assert np.isnan(intervals.crossed(np.zeros((0, 0, 1)))).all()
