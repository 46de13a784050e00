import numpy as np
import pytest

from t2i_jax.evaluation.metrics.object_accuracy import BIRDS, masses, object_accuracy


def test_mass_of_the_birds_by_hand():
    """A bird, a dog, a bird shared between two classes, and nothing."""
    logits = np.zeros((4, 1000))
    logits[0, 7], logits[1, 207], logits[2, [24, 80]], logits[3] = 2000, 2000, 30, -5
    mass = masses(logits)
    np.testing.assert_allclose(mass, [1, 0, 1, 0.059], atol=1e-9)
    found = object_accuracy(mass)
    assert (found["share"], found["n"]) == (0.5, 4)
    assert found["mean_mass"] == pytest.approx(2.059 / 4)
    assert found["interval"] == pytest.approx([0.15, 0.85], abs=0.01)  # Wilson, 2 of 4


def test_there_are_59_classes_of_birds():
    assert len(set(BIRDS)) == 59 and max(BIRDS) == 146


def test_exactly_one_half_does_not_pass():
    assert object_accuracy(masses(np.zeros((1, 4)), [0, 1]))["share"] == 0
    assert object_accuracy(np.array([])) == {
        "share": None,
        "interval": None,
        "n": 0,
        "mean_mass": None,
    }


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="of logits of 10 classes"):
        masses(np.zeros((2, 10)))
    with pytest.raises(ValueError, match="row 1 holds NaN"):
        masses(np.array([[0.0, 0.0], [np.nan, 0.0]]), [0])
