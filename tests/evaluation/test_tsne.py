"""The t-SNE protocol's parts against brute force, geometry, and sets known to be collapsed."""

import builtins
import importlib.util

import numpy as np
import pytest
from PIL import Image

from t2i_jax.evaluation import tsne
from t2i_jax.evaluation.extractors import pixels
from t2i_jax.evaluation.subject import Subject

RNG = np.random.default_rng(0)
VARIED = RNG.integers(0, 256, (60, 4, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
REAL = RNG.integers(0, 256, (50, 4, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
PIXELS = pixels.extractor()


def subject(images=VARIED, real=REAL, **fields) -> Subject:
    known = dict(workdir="run", system="gan", step=7, seed=3, captions="birds/test")
    known |= dict(num=len(images), draw=lambda: images, real=None if real is None else lambda: real)
    return Subject(**(known | fields))


# --- layout --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count, side", [(1, 2), (40, 7), (49, 7), (200, 18)])
def test_no_cell_is_taken_twice(count, side):
    points = np.random.default_rng(count).normal(size=(count, 2)).astype(np.float32)
    cells = tsne.snap(points, side)
    assert cells.shape == (count, 2) and cells.min() >= 0 and cells.max() < side
    assert len(set(map(tuple, cells.tolist()))) == count
    np.testing.assert_array_equal(cells, tsne.snap(points.copy(), side))


def test_points_on_a_grid_stay_where_they_are():
    rows, columns = np.divmod(np.random.default_rng(0).permutation(25), 5)
    points = np.stack([columns * 3.0 - 7, rows * 0.5 + 2], axis=1)  # (x, y)
    np.testing.assert_array_equal(tsne.snap(points, 5), np.stack([rows, columns], axis=1))


def test_a_taken_cell_sends_the_next_point_to_its_neighbour():
    points = np.array([[0, 0], [10, 10], [0, 0], [0, 0.9]])
    # On 11 x 11 cells: the third is as near to (0, 1) as to (1, 0); then (1, 0) is the fourth's own
    assert tsne.snap(points, 11).tolist() == [[0, 0], [10, 10], [0, 1], [1, 0]]


def test_equal_points_fill_the_middle():
    cells = tsne.snap(np.full((9, 2), 5.0), 5)
    assert sorted(map(tuple, cells.tolist())) == [(r, c) for r in (1, 2, 3) for c in (1, 2, 3)]


def test_more_points_than_cells_are_refused():
    with pytest.raises(ValueError, match="5 points for 4 cells"):
        tsne.snap(np.zeros((5, 2)), 2)
    assert all(tsne.grid_side(n) ** 2 >= n for n in range(1, 500))


def test_an_image_lies_in_its_cell():
    images = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (10, 20, 30)])
    drawn = np.asarray(tsne.draw(images, np.array([[0, 1], [2, 2], [1, 0]]), 3))
    assert drawn.shape == (24, 24, 3)
    expected = np.full((3, 3), 255)
    expected[0, 1], expected[2, 2], expected[1, 0] = 10, 20, 30
    np.testing.assert_array_equal(drawn[..., 0], np.kron(expected, np.ones((8, 8))))


def test_large_images_are_shrunk():
    images = np.zeros((2, 256, 256, 3), np.uint8)
    assert tsne.draw(images, np.array([[0, 0], [1, 1]]), 64).size == (64 * 32, 64 * 32)
    assert tsne.draw(images, np.array([[0, 0], [1, 1]]), 200).size == (200 * 16, 200 * 16)


# --- t-SNE ---------------------------------------------------------------------------------------


def test_groups_stay_together_and_the_same_each_time():
    centres = np.random.default_rng(1).normal(size=(3, 10)) * 20
    groups = np.repeat(np.arange(3), 20)
    noise = np.random.default_rng(2).normal(size=(60, 10))
    vectors = (centres[groups] + noise).astype(np.float32)
    points = tsne.embed(vectors)
    means = np.stack([points[groups == g].mean(axis=0) for g in range(3)])
    distances = np.linalg.norm(points[:, None] - means, axis=-1)
    np.testing.assert_array_equal(distances.argmin(axis=1), groups)
    np.testing.assert_array_equal(points, tsne.embed(vectors))


@pytest.mark.parametrize("count", [4, 12])
def test_copies_can_be_embedded(count):
    assert np.isfinite(tsne.embed(np.ones((count, 5), np.float32))).all()


def test_the_extra_is_named_before_anything_is_drawn(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sklearn" else find(name)
    )
    with pytest.raises(ModuleNotFoundError, match=r"pip install 't2i_jax\[eval\]'"):
        tsne.evaluate(subject(draw=lambda: pytest.fail("drawn")), PIXELS)


def test_scikit_learn_is_loaded_only_when_used(monkeypatch):
    """Other protocols, and `import t2i_jax.evaluation.tsne`, work without it."""
    load = builtins.__import__

    def without(name, *args, **kwargs):
        assert not name.startswith("sklearn")
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    importlib.reload(tsne)


# --- numbers -------------------------------------------------------------------------------------


def brute_force(vectors):
    """(mean over pairs, nearest neighbours), a pair at a time."""
    n = len(vectors)
    d = {
        (i, j): np.sqrt(np.sum((vectors[i] - vectors[j]) ** 2)) for i in range(n) for j in range(n)
    }
    pairs = [d[i, j] for i in range(n) for j in range(i)]
    return np.mean(pairs), [min(d[i, j] for j in range(n) if j != i) for i in range(n)]


def test_the_formulas(monkeypatch):
    monkeypatch.setattr(tsne, "_BLOCK", 7)  # more than one block, the last one shorter
    rng = np.random.default_rng(4)
    samples, real = rng.normal(size=(25, 3)), rng.normal(size=(20, 3)) * 1.5
    mean, nearest = brute_force(samples[:20])
    real_mean, real_nearest = brute_force(real)
    threshold = np.percentile(real_nearest, 1)
    expected = {
        "compared": 20,
        "mean_distance_samples": mean,
        "mean_distance_real": real_mean,
        "mean_distance_ratio": mean / real_mean,
        "near_copy_threshold": threshold,
        "near_copy_share": sum(d <= threshold for d in nearest) / 20,
    }
    numbers = tsne.collapse_numbers(samples, real)
    assert numbers == pytest.approx(expected, rel=1e-12) and list(numbers) == list(expected)
    assert set(numbers) == set(tsne.FORMULAS) - {"distance"}


def test_a_line_by_hand():
    """0, 1, 3 on a line: distances 1, 3, 2; the nearest neighbours are 1, 1, 2 away."""
    numbers = tsne.collapse_numbers(np.float32([[5], [5], [7]]), np.float32([[0], [1], [3]]))
    assert numbers["mean_distance_real"] == 2 and numbers["near_copy_threshold"] == 1
    assert numbers["mean_distance_samples"] == pytest.approx(4 / 3)
    assert numbers["near_copy_share"] == pytest.approx(2 / 3)


def test_a_collapsed_set_is_told_from_a_varied_one():
    noise = np.random.default_rng(5).integers(-2, 3, VARIED.shape)
    modes = np.clip(VARIED[np.arange(60) % 3] + noise, 0, 255).astype(np.uint8)
    real, numbers = pixels.vectors(REAL), {}
    for name, images in {"varied": VARIED, "copies": VARIED[[0] * 60], "3 modes": modes}.items():
        numbers[name] = tsne.collapse_numbers(pixels.vectors(images), real)
    assert 0.95 < numbers["varied"]["mean_distance_ratio"] < 1.05
    assert numbers["varied"]["near_copy_share"] < 0.2
    assert numbers["copies"]["mean_distance_ratio"] == 0
    assert numbers["copies"]["near_copy_share"] == 1
    # A few modes far from each other: the mean over pairs hardly sees it, the nearest neighbours do
    assert numbers["3 modes"]["mean_distance_ratio"] > 0.6
    assert numbers["3 modes"]["near_copy_share"] == 1


def test_without_real_images():
    numbers = tsne.collapse_numbers(np.float32([[0], [1], [3]]), None)
    assert numbers["compared"] == 3 and numbers["mean_distance_samples"] == 2
    assert {v for k, v in numbers.items() if "real" in k or "ratio" in k or "copy" in k} == {None}


def test_real_images_that_are_all_equal():
    numbers = tsne.collapse_numbers(np.float32([[0], [1], [1]]), np.ones((3, 1)))
    assert numbers["mean_distance_ratio"] is None
    assert numbers["near_copy_share"] == pytest.approx(2 / 3)  # exact copies alone


@pytest.mark.parametrize("samples, real", [(1, 5), (5, 1), (1, None)])
def test_too_few_for_a_distance(samples, real):
    with pytest.raises(ValueError, match="at least 2"):
        tsne.collapse_numbers(np.ones((samples, 2)), None if real is None else np.ones((real, 2)))


# --- the protocol --------------------------------------------------------------------------------


def test_result_and_picture():
    result, drawn = tsne.evaluate(subject(), PIXELS)
    assert {k: result[k] for k in ("system", "step", "n", "seed", "features", "captions")} == {
        "system": "gan",
        "step": 7,
        "n": 60,
        "seed": 3,
        "features": "pixels16",
        "captions": "birds/test",
    }
    assert result["collapse"] == tsne.collapse_numbers(pixels.vectors(VARIED), pixels.vectors(REAL))
    assert result["collapse"]["compared"] == 50
    assert list(drawn) == ["tsne"] and isinstance(drawn["tsne"], Image.Image)
    side = tsne.grid_side(60)
    assert drawn["tsne"].width == side * 32 and drawn["tsne"].height > side * 32
    cells = tsne.snap(tsne.embed(pixels.vectors(VARIED)), side)
    below = np.asarray(drawn["tsne"])[-side * 32 :]
    for image, (row, column) in zip(VARIED, cells, strict=True):
        shown = below[row * 32 : (row + 1) * 32, column * 32 : (column + 1) * 32]
        np.testing.assert_array_equal(shown, image)


def test_too_few_samples():
    with pytest.raises(ValueError, match="num=3: t-SNE needs at least 4"):
        tsne.evaluate(subject(VARIED[:3]), PIXELS)
