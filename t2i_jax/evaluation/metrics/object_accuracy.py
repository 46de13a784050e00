"""How many images show an object of a kind, by a classifier of ImageNet's 1000 classes."""

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from t2i_jax.evaluation.intervals import share
from t2i_jax.evaluation.metrics.rows import finite

# The 59 bird classes of ImageNet-1k, from "cock" to "great grey owl", from "black grouse" to "black
# swan" and from "white stork" to "albatross".
BIRDS = (*range(7, 25), *range(80, 101), *range(127, 147))

THRESHOLD = 0.5


def masses(logits: np.ndarray, classes: Sequence[int] = BIRDS) -> np.ndarray:
    """The probability that the classes have together, float64 [N], of logits [N, 1000].

    Raises ValueError for NaN or infinity, naming the row, and for a class that is not there.
    """
    x, classes = finite(logits, "logits"), sorted(set(classes))
    if not classes or not 0 <= classes[0] <= classes[-1] < x.shape[1]:
        raise ValueError(f"object accuracy: classes {classes} of logits of {x.shape[1]} classes")
    return np.exp(logsumexp(x[:, classes], axis=1) - logsumexp(x, axis=1))


def object_accuracy(mass: np.ndarray) -> dict:
    """``share`` of the images whose mass passes one half, with ``interval`` and ``n`` as in
    `intervals.share`, and ``mean_mass``. Print that of real images of the same size beside it: it
    is the ceiling. mass: of `masses`, [N].
    """
    mean = float(np.mean(mass)) if len(mass) else None
    return {**share(int(np.sum(mass > THRESHOLD)), len(mass)), "mean_mass": mean}
