"""Zero-shot evaluation against hand-made cases (golden numbers: tests/parity)."""

import numpy as np
import pytest

from t2i_jax.evaluation import zero_shot


def test_class_vectors_are_means():
    captions = np.array([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]], np.float32)
    vectors = zero_shot.class_vectors(captions, np.array([1, 1, 0]), 2)
    np.testing.assert_array_equal(vectors, np.array([[5, 5], [2, 1]], np.float32))
    assert vectors.dtype == np.float32


def test_classes_without_captions_are_named():
    with pytest.raises(ValueError, match=r"without a caption: \[0, 2\]"):
        zero_shot.class_vectors(np.ones((2, 3)), np.array([1, 3]), 4)
    with pytest.raises(ValueError, match="classes up to 3 for 3 classes"):
        zero_shot.class_vectors(np.ones((4, 3)), np.arange(4), 3)


def test_accuracy_and_precision_by_hand():
    class_text = np.eye(2)
    # Scores are the coordinates. Classes of the images by score: 0, 0, 1, 1; the third is wrong.
    images = np.array([[4.0, 1.0], [3.0, 2.0], [1.0, 3.5], [0.0, 3.0]])
    classes = np.array([0, 0, 0, 1])
    assert zero_shot.top1(images, classes, class_text) == 0.75
    # Ranked for class 0: images 0, 1, 2, 3; for class 1: images 2, 3, 1, 0.
    precision = zero_shot.precision_at(images, classes, class_text, (1, 2, 4))
    assert precision == {1: 0.5, 2: 0.75, 4: 0.5}


@pytest.mark.parametrize("ranks", [(), (0,), (1, 5)])
def test_impossible_ranks_are_refused(ranks):
    with pytest.raises(ValueError, match=r"ranks must be in 1\.\.4"):
        zero_shot.precision_at(np.ones((4, 2)), np.zeros(4, int), np.ones((1, 2)), ranks)
