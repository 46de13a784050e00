"""Means and covariances in one pass, against NumPy's of the whole."""

import ml_dtypes
import numpy as np
import pytest

from t2i_jax.evaluation.metrics.moments import Moments


def moments_of(features, parts=1):
    made = Moments(features.shape[1])
    for part in np.array_split(features, parts):
        made.add(part)
    return made


@pytest.fixture(scope="module")
def features():
    """Far from 0 beside their spread, where sums of squares lose digits."""
    rng = np.random.default_rng(0)
    return 1e4 + rng.normal(size=(403, 7)) @ rng.normal(size=(7, 7))


def test_one_pass_in_batches_is_numpys_covariance(features):
    made = moments_of(features, parts=11)
    assert made.count == 403
    np.testing.assert_allclose(made.mean, features.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(made.covariance(), np.cov(features, rowvar=False), rtol=1e-9)


def test_four_merged_parts_are_the_single_pass(features):
    whole, merged = moments_of(features), Moments(7)
    for rows in (slice(0, 1), slice(1, 90), slice(90, 90), slice(90, 403)):
        merged.merge(moments_of(features[rows]))
    assert merged.count == whole.count
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12)
    difference = np.linalg.norm(merged.covariance() - whole.covariance())
    assert difference < 1e-12 * np.linalg.norm(whole.covariance())


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_narrow_floats_are_summed_in_float64(dtype):
    """A thousand ones: sums in bfloat16 stick at 256."""
    features = np.ones((1000, 2), dtype)
    features[::2, 1] = 3
    made = moments_of(features, parts=3)
    np.testing.assert_allclose(made.mean, [1, 2], rtol=1e-15)
    np.testing.assert_allclose(made.covariance(), [[0, 0], [0, 1000 / 999]], atol=1e-13)


def test_features_stay_as_they_are(features):
    before = features.copy()
    moments_of(features)
    np.testing.assert_array_equal(features, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_named_and_nothing_of_it_is_taken(features, bad):
    made = moments_of(features[:100])
    broken = features[100:150].copy()
    broken[23, 4] = bad
    with pytest.raises(ValueError, match="row 123 holds NaN or infinity"):
        made.add(broken)
    made.add(features[100:])
    np.testing.assert_allclose(made.covariance(), np.cov(features, rowvar=False), rtol=1e-9)


def test_what_is_written_is_read_again(features, tmp_path):
    made = moments_of(features)
    np.savez(tmp_path / "m.npz", **made.arrays())
    with np.load(tmp_path / "m.npz") as file:
        read = Moments.of_arrays(file)
    for name, value in made.arrays().items():
        np.testing.assert_array_equal(read.arrays()[name], value)
    read.add(features)
    assert (read.count, made.count) == (806, 403)


def test_what_does_not_fit_is_refused(features):
    made = moments_of(features)
    with pytest.raises(ValueError, match="3 numbers a row, not 7"):
        made.add(np.ones((2, 3)))
    with pytest.raises(ValueError, match="of 3 and 7 numbers"):
        made.merge(Moments(3))
    with pytest.raises(ValueError, match=r"\[rows, width\] is needed, not one of shape \(7,\)"):
        made.add(np.ones(7))
    with pytest.raises(ValueError, match="two rows at least, not 1"):
        moments_of(features[:1]).covariance()
    with pytest.raises(ValueError, match="moments without mean"):
        Moments.of_arrays({"count": 3, "scatter": np.ones((2, 2))})
    with pytest.raises(ValueError, match=r"a mean of \(2,\) and a scatter of \(3, 3\)"):
        Moments.of_arrays({"count": np.array(3), "mean": np.ones(2), "scatter": np.ones((3, 3))})
