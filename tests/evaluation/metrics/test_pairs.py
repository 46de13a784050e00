"""What compares images with captions: R-precision, CLIPScore, verification of styles."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from t2i_jax.evaluation.metrics import clip_score, r_precision, verification

# --- R-precision ---------------------------------------------------------------------------------


def test_r_precision_equals_the_golden_hits(golden):
    found = r_precision.r_precision(
        golden["rprec.image"], golden["rprec.text"], golden["rprec.negatives"]
    )
    np.testing.assert_array_equal(found.hits, golden["rprec.hits"])
    assert found.mean == pytest.approx(float(golden["rprec.mean"]))
    np.testing.assert_allclose(found[:2], golden["rprec.split_mean_std"], rtol=1e-7)


def test_chance_is_one_in_a_hundred():
    images, captions = np.random.default_rng(0).normal(size=(2, 4000, 8))
    negatives = r_precision.draw_negatives(np.arange(4000), seed=1)
    assert r_precision.r_precision(images, captions, negatives).mean == pytest.approx(
        0.01, abs=0.005
    )
    assert r_precision.r_precision(3 * captions, captions, negatives).mean == 1


def test_ties_are_misses():
    """Of a network that gives one vector to all; and a copy of the own caption beside it."""
    vectors = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    negatives = r_precision.draw_negatives(np.arange(40), seed=0, count=9)
    same = np.repeat(vectors[:1], 40, axis=0)
    assert not r_precision.r_precision(vectors, same, negatives).hits.any()
    assert not r_precision.r_precision(np.zeros((40, 5)), vectors, negatives).hits.any()
    doubled = np.repeat(vectors[:20], 2, axis=0)
    negatives[:, -1] = np.arange(40) ^ 1
    assert not r_precision.r_precision(doubled, doubled, negatives).hits.any()


def test_negatives_are_of_other_classes_all_as_often_and_the_same_each_time():
    classes = np.array([4, 4, 9, 9, 9, 0] * 3)
    drawn = r_precision.draw_negatives(classes, seed=3, count=3000)
    for row, others in enumerate(drawn):
        allowed = np.flatnonzero(classes != classes[row])
        times = np.bincount(others, minlength=len(classes))
        assert set(np.flatnonzero(times)) == set(allowed)
        np.testing.assert_allclose(times[allowed], 3000 / len(allowed), rtol=0.35)
    np.testing.assert_array_equal(drawn, r_precision.draw_negatives(classes, seed=3, count=3000))
    assert (drawn != r_precision.draw_negatives(classes, seed=4, count=3000)).any()
    with pytest.raises(ValueError, match="all 5 rows are of one class"):
        r_precision.draw_negatives(np.ones(5, int), seed=0)


def test_r_precision_refuses_what_does_not_fit():
    x, negatives = np.ones((20, 3)), np.zeros((20, 4), int)
    with pytest.raises(ValueError, match="vectors of captions: row 7 holds NaN"):
        broken = x.copy()
        broken[7, 0] = np.nan
        r_precision.r_precision(x, broken, negatives)
    with pytest.raises(ValueError, match="20 images, 19 captions"):
        r_precision.r_precision(x, x[1:], negatives)
    with pytest.raises(ValueError, match="cut into 21 parts"):
        r_precision.r_precision(x, x, negatives, parts=21)
    with pytest.raises(ValueError, match="widths 3 and 2"):
        r_precision.r_precision(x, x[:, 1:], negatives)


# --- CLIPScore -----------------------------------------------------------------------------------


def test_clip_score_equals_the_golden_numbers(golden):
    similarities = clip_score.clip_similarities(golden["rprec.image"], golden["rprec.text"])
    scores = clip_score.clip_scores(similarities)
    np.testing.assert_allclose(scores, golden["clipscore.per"], rtol=1e-6, atol=1e-7)
    assert scores.mean() == pytest.approx(float(golden["clipscore.w2.5_mean"]), rel=1e-6)
    assert (similarities < 0).any() and similarities.min() >= -1


def test_clip_score_refuses_what_does_not_fit():
    x = np.ones((4, 3))
    with pytest.raises(ValueError, match="4 images and 3 captions"):
        clip_score.clip_similarities(x, x[1:])
    with pytest.raises(ValueError, match="vectors of images: row 0 holds NaN"):
        clip_score.clip_similarities(x * np.nan, x)


# --- verification of styles ----------------------------------------------------------------------


def test_roc_auc_is_scikit_learns():
    rng = np.random.default_rng(0)
    same, different = rng.normal(0.5, 1, 300).round(1), rng.normal(0, 1, 200).round(1)  # with ties
    labels = np.repeat([1, 0], [300, 200])
    expected = roc_auc_score(labels, np.concatenate([same, different]))
    assert verification.roc_auc(same, different) == pytest.approx(expected, rel=1e-12)
    assert verification.roc_auc([2.0, 3.0], [1.0]) == 1
    assert verification.roc_auc([1.0, 1.0], [1.0]) == 0.5
    for bad in ([], [np.nan]):
        with pytest.raises(ValueError, match="ROC AUC"):
            verification.roc_auc([1.0], bad)


def test_pairs_are_uniform_over_all_pairs():
    groups = np.array([5, 1, 5, 1, 5, 7])  # 4 pairs of one group, 11 of two
    same, different = verification.draw_pairs(groups, 30_000, np.random.default_rng(0))
    for pairs, equal, number in ((same, True, 4), (different, False, 11)):
        a, b = groups[pairs].T
        assert ((a == b) == equal).all() and (pairs[:, 0] != pairs[:, 1]).all()
        _, times = np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)
        assert len(times) == number
        np.testing.assert_allclose(times, 30_000 / number, rtol=0.1)


def test_styles_that_follow_the_groups_are_verified_and_noise_is_not():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 10, 500)
    noise = rng.normal(size=(500, 20))
    styled = verification.verification(rng.normal(size=(10, 20))[groups] + noise, groups)
    assert styled.mean > 0.9 and len(styled.folds) == 5 and 0 < styled.deviation < 0.1
    assert verification.verification(noise, groups).mean == pytest.approx(0.5, abs=0.04)
    again = verification.verification(noise, groups)
    assert again.mean == verification.verification(7 * noise, groups).mean


def test_verification_refuses_what_does_not_fit():
    x = np.ones((10, 3))
    for groups in (np.zeros(10), np.arange(10)):
        with pytest.raises(ValueError, match="no pair of one group and one of two"):
            verification.verification(x, groups, folds=1)
    with pytest.raises(ValueError, match="10 vectors and groups of 9"):
        verification.verification(x, np.zeros(9))
