"""Nearest training images against brute force and planted copies."""

import json
import tracemalloc

import numpy as np
import pytest

from t2i_jax.evaluation import nearest

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(700, 6)).astype(np.float32)
QUERIES = RNG.normal(size=(300, 6)).astype(np.float32)


def brute_force(queries, train, k):
    """Every difference by itself."""
    d = np.sqrt(np.square(queries[:, None].astype(np.float64) - train[None]).sum(axis=-1))
    order = np.argsort(d, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(d, order, axis=1), order


def blocks(vectors, *sizes):
    return iter(np.split(vectors, np.cumsum(sizes)))


@pytest.mark.parametrize("sizes", [(), (1, 2, 300), (0, 257, 0)])
def test_the_nearest_are_those_of_brute_force_however_the_set_is_cut(sizes):
    few = QUERIES[:3]
    found = nearest.nearest([QUERIES, few], blocks(TRAIN, *sizes), 4)
    for queries, (distances, places) in zip((QUERIES, few), found, strict=True):
        expected, order = brute_force(queries, TRAIN, 4)
        np.testing.assert_array_equal(places, order)
        np.testing.assert_allclose(distances, expected, rtol=1e-14)


def test_a_copy_is_found_first_at_distance_zero():
    """Large numbers, where |x|^2 + |y|^2 - 2 x.y in float32 would be off by more than the rest."""
    train = (TRAIN * 0.01 + 1000).astype(np.float32)
    ((distances, places),) = nearest.nearest([train[[650, 3]]], [train], 2)
    assert places[:, 0].tolist() == [650, 3]
    assert distances[:, 0].tolist() == [0, 0] and (distances[:, 1] > 0).all()


def test_of_equally_near_ones_the_earlier_comes_first():
    train = np.repeat(np.float32([[2], [1]]), 400, axis=0)
    ((distances, places),) = nearest.nearest([np.zeros((1, 1))], blocks(train, 399), 402)
    assert places[0].tolist() == [*range(400, 800), 0, 1]
    assert distances[0].tolist() == [1] * 400 + [2, 2]


def test_memory_does_not_grow_with_the_training_set():
    def peak(count):
        made = (np.ones((500, 64), np.float32) * i for i in range(count))
        tracemalloc.start()
        nearest.nearest([np.zeros((100, 64))], made, 3)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(40) < 1.1 * peak(4)


def test_the_formulas_by_hand():
    real = np.arange(1.0, 102.0)  # percentiles of 1..101 fall on its members: the first is 2
    numbers = nearest.numbers(np.array([0, 2, 2.5, 51]), real)
    assert numbers.pop("nearer") == {
        "share": 0.5,
        "interval": pytest.approx([0.1500, 0.8500], abs=1e-4),  # Wilson's of 2 in 4
        "n": 4,
    }
    assert numbers == {
        "median_samples": 2.25,
        "median_real": 51,
        "median_ratio": 2.25 / 51,
        "threshold": 2,
        "copies_samples": 1,
        "copies_real": 0,
    }
    assert set(numbers) | {"nearer", "distance"} == set(nearest.FORMULAS)


def test_without_real_images_what_needs_them_is_none():
    numbers = nearest.numbers(np.array([1.0, 3.0]), None)
    assert numbers["median_samples"] == 2 and numbers["copies_samples"] == 0
    assert [name for name, value in numbers.items() if value is None] == [
        *("median_real", "median_ratio", "threshold", "nearer", "copies_real")
    ]
    assert nearest.numbers(np.ones(2), np.zeros(2))["median_ratio"] is None


# --- the protocol --------------------------------------------------------------------------------

IMAGES = RNG.integers(0, 200, (400, 2, 2, 3), np.uint8).repeat(4, 1).repeat(4, 2)


def looking(images, asked=None, captions=()):
    def of(indices):
        if asked is not None:
            asked.append(list(indices))
        return images[list(indices)]

    return nearest.Looking(
        features=images.reshape(-1, 192).astype(np.float32), images=of, captions=captions
    )


def training(images=IMAGES[:300]):
    vectors = images.reshape(-1, 192).astype(np.float32)
    return nearest.Training(blocks=blocks(vectors, 90), images=lambda i: images[list(i)])


def test_planted_copies_are_told_and_shown():
    fresh = RNG.integers(0, 200, (18, 2, 2, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    samples, asked = np.concatenate([fresh, IMAGES[[120, 45]]]), []
    result, drawn, text = nearest.evaluate(
        looking(samples, asked, [f"caption {i}" for i in range(20)]),
        looking(IMAGES[300:]),
        training(),
        {"workdir": "run"},
        shown=4,
    )
    assert result["nearest"]["copies_samples"] == 2 and result["nearest"]["copies_real"] == 0
    assert result["nearest"]["nearer"]["share"] >= 0.1
    assert 0.8 < result["nearest"]["median_ratio"] < 1.2, "others are as far as real ones"
    assert result["first"][:2] == [
        {"sample": 18, "training": 120, "distance": 0},
        {"sample": 19, "training": 45, "distance": 0},
    ]
    assert len(result["first"]) == 4 and result["n"] == 20 and result["n_real"] == 100
    assert asked == [[row["sample"] for row in result["first"]]], "no image but those shown"
    assert "copies of a training image, by these features: 2 samples, 0 real" in text
    assert result["workdir"] == "run" and json.dumps(result, allow_nan=False)
    pixels = np.asarray(drawn["nearest"])
    copy = IMAGES[120].repeat(16, 0).repeat(16, 1)  # shown at 128 pixels
    here = [
        (y, x)
        for y, x in np.argwhere((pixels == copy[0, 0]).all(axis=-1))
        if np.array_equal(pixels[y : y + 128, x : x + 128], copy)
    ]
    assert len(here) == 2 and here[0][0] == here[1][0], "the sample and its original side by side"


def test_without_held_out_images():
    result, drawn, text = nearest.evaluate(looking(IMAGES[300:]), None, training(), {}, 1, 2)
    assert result["n_real"] is None and result["nearest"]["nearer"] is None
    assert "real" not in text and drawn["nearest"].height > 256


def test_what_is_wrong():
    with pytest.raises(ValueError, match="2 training images, fewer than 3"):
        nearest.evaluate(looking(IMAGES), None, training(IMAGES[:2]), {})
    with pytest.raises(ValueError, match="no images to look"):
        nearest.evaluate(looking(IMAGES[:0]), None, training(), {})
    with pytest.raises(ValueError, match="not finite"):
        nearest.nearest([QUERIES], [np.full((3, 6), np.nan)], 1)
    with pytest.raises(ValueError, match="not finite"):
        nearest.nearest([np.full((3, 6), np.inf)], [TRAIN], 1)
