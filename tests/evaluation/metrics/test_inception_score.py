"""The Inception Score against torch-fidelity's numbers and closed forms."""

import numpy as np
import pytest
from scipy.special import softmax

from t2i_jax.evaluation.metrics.inception_score import InceptionScore, inception_score

WAYS = {"splits1": (1, None), "splits10": (10, None), "splits10_shuffled2020": (10, 2020)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ["regular", "peaky", "uniform"])
def test_equals_the_golden_numbers(golden, case, way):
    found = inception_score(golden[f"is.{case}.logits"], *WAYS[way])
    np.testing.assert_allclose(found, golden[f"is.{case}.{way}"], rtol=1e-12, atol=1e-12)


def test_equals_the_formula_as_it_is_written(golden):
    p = softmax(golden["is.regular.logits"].astype(np.float64) / 0.6, axis=1)
    divergences = np.sum(p * (np.log(p) - np.log(p.mean(axis=0))), axis=1)
    mean, deviation = inception_score(golden["is.regular.logits"], 1, temperature=0.6)
    assert mean == pytest.approx(np.exp(divergences.mean()), rel=1e-12) and deviation == 0


def test_sure_and_even_predictions_score_the_number_of_classes():
    logits = 1000 * np.eye(8).repeat(3, axis=0)
    assert inception_score(logits, 1)[0] == pytest.approx(8, rel=1e-12)
    # Sorted by class and cut in their order, each part knows few classes.
    assert inception_score(logits, 8, seed=None) == pytest.approx((1, 0), abs=1e-12)


def test_batches_in_any_order_merged_over_four_hosts_are_the_one_pass(golden):
    logits = golden["is.peaky.logits"]
    hosts = [InceptionScore(*logits.shape) for _ in range(4)]
    order = np.random.default_rng(0).permutation(len(logits))
    for i, rows in enumerate(np.array_split(order, 23)):
        hosts[i % 4].add(logits[rows], rows)
    for host in hosts[1:]:
        hosts[0].merge(host)
    np.testing.assert_allclose(hosts[0].result(), inception_score(logits), rtol=1e-12)


def test_images_that_lack_or_come_twice_are_told():
    score, logits = InceptionScore(6, 3, splits=2), np.zeros((2, 3))
    score.add(logits, np.array([4, 0]))
    with pytest.raises(ValueError, match="4 of 6 images lack, the first is number 1"):
        score.result()
    for rows in (np.array([1, 4]), slice(3, 5)):
        with pytest.raises(ValueError, match="image 4 is given twice"):
            score.add(logits, rows)
    with pytest.raises(ValueError, match="image 2 is given twice"):
        score.add(logits, np.array([2, 2]))
    other = InceptionScore(6, 3, splits=2)
    other.add(logits, slice(0, 2))
    with pytest.raises(ValueError, match="image 0 is given twice"):
        score.merge(other)


def test_what_does_not_fit_is_refused():
    score = InceptionScore(6, 3, splits=2)
    with pytest.raises(ValueError, match="6 images cannot be cut into 10 parts"):
        InceptionScore(6, 3)
    with pytest.raises(ValueError, match="temperature=0"):
        InceptionScore(60, 3, temperature=0)
    with pytest.raises(ValueError, match="of 4 classes, not 3"):
        score.add(np.zeros((1, 4)), slice(0, 1))
    with pytest.raises(ValueError, match="2 images for 6 row numbers"):
        score.add(np.zeros((2, 3)), slice(None))
    with pytest.raises(ValueError, match="logits: row 1 holds NaN"):
        score.add(np.array([[0, 0, 0], [0, np.nan, 0]]), slice(0, 2))
    for other in ((6, 3, 3), (6, 3, 2, 7), (6, 3, 2, 2020, 0.5), (6, 4, 2)):
        with pytest.raises(ValueError, match="other images, classes, parts or temperatures"):
            score.merge(InceptionScore(*other))
