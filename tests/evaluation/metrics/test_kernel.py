"""The kernel distance against torch-fidelity's numbers and a double loop."""

import itertools

import numpy as np
import pytest

from t2i_jax.evaluation.metrics.kernel import kernel_distance


def test_equals_the_golden_subsets(golden):
    found = kernel_distance(golden["kid.x"], golden["kid.y"], subsets=10, size=50)
    np.testing.assert_allclose(found.subsets, golden["kid.per_subset"], atol=1e-12)
    assert found.mean == pytest.approx(float(golden["kid.mean"]), abs=1e-12)
    assert found.deviation == pytest.approx(float(golden["kid.std"]), abs=1e-12)


def test_of_all_rows_it_is_the_unbiased_estimate(golden):
    x, y = golden["kid.x"][:110], golden["kid.y"]
    found = kernel_distance(x, y, subsets=1, size=110)
    assert found.mean == pytest.approx(float(golden["kid.full_unbiased"]), abs=1e-12)
    pairs = list(itertools.permutations(range(5), 2))
    within = sum((z[i] @ z[j] / 16 + 1) ** 3 for z in (x, y) for i, j in pairs) / 20
    across = sum((u @ v / 16 + 1) ** 3 for u in x[:5] for v in y[:5]) / 25
    by_hand = kernel_distance(x[:5], y[:5], subsets=1, size=5).mean
    assert by_hand == pytest.approx(within - 2 * across, abs=1e-12)


def test_equal_distributions_are_0_apart_on_average():
    x, y = np.random.default_rng(0).normal(size=(2, 2000, 4))
    near, far = kernel_distance(x, y, 50, 100), kernel_distance(x, y + 1, 50, 100)
    assert abs(near.mean) < 0.02 and (near.subsets < 0).any()
    assert far.mean > 1


class OnDisk:
    """Features that are read row by row: which rows were asked for."""

    def __init__(self, rows):
        self.rows, self.most = rows, 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, rows):
        read = self.rows[rows]
        self.most = max(self.most, len(read))
        return read


def test_only_a_subset_is_read_at_a_time(golden, tmp_path):
    expected = kernel_distance(golden["kid.x"], golden["kid.y"], subsets=10, size=50).mean
    x = OnDisk(golden["kid.x"])
    assert kernel_distance(x, golden["kid.y"], subsets=10, size=50).mean == expected
    assert x.most == 50
    np.save(tmp_path / "x.npy", golden["kid.x"])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert kernel_distance(mapped, golden["kid.y"], subsets=10, size=50).mean == expected


def test_what_does_not_fit_is_refused(golden):
    x, y = golden["kid.x"], golden["kid.y"]
    with pytest.raises(ValueError, match="sets of 120 and 110 rows have no subset of 1000"):
        kernel_distance(x, y)
    with pytest.raises(ValueError, match="widths 16 and 15 differ"):
        kernel_distance(x, y[:, 1:], size=50)
    with pytest.raises(ValueError, match="subset of the second set: .* NaN"):
        kernel_distance(x, np.full_like(y, np.nan), size=50)
    with pytest.raises(ValueError, match="0 subsets"):
        kernel_distance(x, y, subsets=0, size=50)
