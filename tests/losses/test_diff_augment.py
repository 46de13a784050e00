"""DiffAugment: each transform recovered from what it did, draws, derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from t2i_jax.losses.diff_augment import diff_augment

ROWS, SIDE = 64, 16
IMAGES = np.random.default_rng(3).uniform(0.1, 0.9, (ROWS, SIDE, SIDE, 3)).astype(np.float32)
KEY = jax.random.key(1)


def augment(policy, images=IMAGES):
    return np.asarray(diff_augment(images, KEY, (policy,)))


def test_translations_are_whole_shifts_with_grey_flowing_in():
    seen = set()
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for wide, found in zip(padded, augment("translation"), strict=True):
        shifts = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if np.array_equal(wide[i : i + SIDE, j : j + SIDE], found)
        ]
        assert len(shifts) == 1
        seen |= set(shifts)
    assert {i for i, _ in seen} == {j for _, j in seen} == set(range(5))


def test_cutouts_are_squares_of_half_the_side_cut_at_the_border():
    sides = set()
    for image, found in zip(IMAGES, augment("cutout"), strict=True):
        gone = np.all(found == 0.0, axis=-1)
        np.testing.assert_array_equal(found[~gone], image[~gone])
        rows, columns = np.flatnonzero(gone.any(1)), np.flatnonzero(gone.any(0))
        assert gone[np.ix_(rows, columns)].all()
        for where in (rows, columns):
            assert np.array_equal(where, np.arange(where[0], where[-1] + 1))
            whole = where[0] > 0 and where[-1] < SIDE - 1
            assert len(where) == SIDE // 2 if whole else SIDE // 4 <= len(where) <= SIDE // 2
            sides.add(len(where))
    assert SIDE // 2 in sides and len(sides) > 1


def test_colours_move_within_the_published_ranges():
    """out = contrast * (x + brightness + (1 - saturation) * (grey - x) - mean) + mean."""
    found = augment("color")
    drawn = []
    for image, out in zip(IMAGES, found, strict=True):
        grey = np.broadcast_to(image.mean(-1, keepdims=True), image.shape)
        system = np.stack([image.ravel(), grey.ravel(), np.ones(image.size)], axis=1)
        (of_image, of_grey, rest), error, _, _ = np.linalg.lstsq(system, out.ravel(), rcond=None)
        assert error < 1e-6
        contrast = of_image + of_grey
        drawn.append([out.mean() - image.mean(), of_image / contrast, contrast])
        assert rest == pytest.approx(out.mean() - contrast * image.mean(), abs=1e-4)
    lowest, highest = np.min(drawn, axis=0), np.max(drawn, axis=0)
    for low, high, least, most in zip((-0.5, 0, 0.5), (0.5, 2, 1.5), lowest, highest, strict=True):
        assert low - 1e-3 <= least < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < most <= high + 1e-3


def test_one_key_treats_all_images_of_a_step_alike():
    policies = ("translation", "cutout")
    both = diff_augment(IMAGES + IMAGES[::-1], KEY, policies)
    parts = [diff_augment(x, KEY, policies) for x in (IMAGES, IMAGES[::-1])]
    np.testing.assert_allclose(both, parts[0] + parts[1], rtol=1e-6)
    other = diff_augment(IMAGES, jax.random.key(2), policies)
    assert not np.array_equal(other, parts[0])


def test_gradients_are_finite_differences():
    check_grads(
        jax.jit(functools.partial(diff_augment, key=KEY)),
        (jnp.asarray(IMAGES[:2]),),
        order=1,
        modes=["rev", "fwd"],
        atol=2e-2,
        rtol=2e-2,
    )


def test_draws_are_those_of_the_global_batch():
    shards = IMAGES.reshape(4, ROWS // 4, SIDE, SIDE, 3)
    run = functools.partial(diff_augment, key=KEY, axis_name="data")
    found = jax.pmap(run, axis_name="data")(shards)
    expected = diff_augment(IMAGES, KEY)
    np.testing.assert_allclose(found.reshape(IMAGES.shape), expected, atol=1e-6)


def test_no_policy_changes_nothing_and_an_unknown_one_is_refused():
    np.testing.assert_array_equal(diff_augment(IMAGES, KEY, ()), IMAGES)
    with pytest.raises(ValueError, match=r"\['blur'\]: choose from \('color',"):
        diff_augment(IMAGES, KEY, ("color", "blur"))
