"""Precision, recall, density and coverage against golden numbers and differences of all pairs."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from t2i_jax.evaluation.metrics.neighbours import neighbours


@pytest.mark.parametrize("block", [13, 1000])
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("case", ["regular", "collapsed", "copies", "disjoint"])
def test_equals_the_golden_numbers(golden, case, k, closed, block):
    real, fake = golden[f"prdc.{case}.real"], golden[f"prdc.{case}.fake"]
    found = neighbours(real=real, fake=fake, k=k, closed=closed, block=block)
    expected = golden[f"prdc.{case}.k{k}_{'le' if closed else 'lt'}"]
    np.testing.assert_allclose(found[:4], expected, rtol=1e-15)


def by_differences(real, fake, k, held):
    radii = [np.sort(cdist(x, x), axis=1)[:, k] for x in (real, fake)]
    between = cdist(fake, real)
    in_real, in_fake = held(between, radii[0]), held(between.T, radii[1])
    precision, recall = in_real.any(axis=1).mean(), in_fake.any(axis=1).mean()
    return precision, recall, in_real.sum() / (k * len(fake)), in_real.any(axis=0).mean()


@pytest.mark.parametrize("closed", [True, False])
def test_products_of_vectors_decide_as_differences_do(closed):
    """Far from 0 on a coarse grid: many distances are equal, and rounding would tell them apart."""
    rng = np.random.default_rng(0)
    real, fake = (rng.integers(0, 3, size=(n, 4)) / 4 + 1000.1 for n in (150, 130))
    found = neighbours(real=real, fake=fake, k=2, closed=closed, block=32)
    expected = by_differences(real, fake, 2, np.less_equal if closed else np.less)
    assert found[:4] == pytest.approx(expected, rel=1e-14)
    rough = np.sum(fake**2, axis=1)[:, None] + np.sum(real**2, axis=1) - 2 * fake @ real.T
    assert len(np.unique(rough)) > 2 * len(np.unique(cdist(fake, real)))


def test_real_and_fake_are_no_twins():
    """Tight fakes inside the real set: precise, of no recall; the other way about they swap."""
    rng = np.random.default_rng(1)
    wide, tight = rng.normal(size=(200, 3)), 0.01 * rng.normal(size=(200, 3))
    found, swapped = neighbours(real=wide, fake=tight), neighbours(real=tight, fake=wide)
    assert found.precision == 1 and found.recall < 0.1
    assert (swapped.recall, swapped.precision) == (found.precision, found.recall)


def test_float32_on_disk_gives_what_float64_in_memory_gives(golden, tmp_path):
    arrays = {}
    for name in ("real", "fake"):
        arrays[name] = golden[f"prdc.copies.{name}"].astype(np.float32)
        np.save(tmp_path / f"{name}.npy", arrays[name])
    mapped = {n: np.load(tmp_path / f"{n}.npy", mmap_mode="r") for n in arrays}
    wide = {n: x.astype(np.float64) for n, x in arrays.items()}
    assert neighbours(**mapped, block=7) == neighbours(**wide)


def test_copies_are_counted():
    rng = np.random.default_rng(2)
    real, fake = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    real[:4], real[4:6] = real[0], real[4]
    fake[9, 0] = 0.0
    fake[3] = fake[9] * [-1, 1, 1]  # -0 is 0
    found = neighbours(real=real, fake=fake)
    assert (found.real_copies, found.fake_copies) == (4, 1)
    assert (found.real_points, found.fake_points) == (4, 0)
    none = neighbours(real=np.ones((9, 3)), fake=np.ones((9, 3)), closed=False)
    assert none == (0, 0, 0, 0, 8, 8, 9, 9)


def test_what_does_not_fit_is_refused(golden):
    real = golden["prdc.regular.real"]
    with pytest.raises(ValueError, match="sets of 100 and 3 rows have no neighbour number 3"):
        neighbours(real=real, fake=real[:3])
    with pytest.raises(ValueError, match="widths 8 and 7 differ"):
        neighbours(real=real, fake=real[:, 1:])
    broken = real.copy()
    broken[31] = np.nan
    with pytest.raises(ValueError, match="fake features: row 31 holds NaN"):
        neighbours(real=real, fake=broken, block=10)
    with pytest.raises(TypeError):
        neighbours(real, real)
