"""What a linear function can read off vectors: multinomial logistic regression, in NumPy."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits


class Probe(NamedTuple):
    """A linear classifier of vectors: classes by the largest of ``(x - mean) / scale @ w + b``."""

    mean: np.ndarray
    scale: np.ndarray
    w: np.ndarray
    b: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The class of each row of x [N, E]: int [N]."""
        return np.argmax((x - self.mean) / self.scale @ self.w + self.b, axis=1)


def fit(x: np.ndarray, classes: np.ndarray, num_classes: int, decay: float = 1e-3) -> Probe:
    """The probe with the least mean cross-entropy plus ``decay / 2 * sum(w^2)``, of vectors [N, E]
    that are brought to mean 0 and variance 1 in every coordinate (constant ones count as 0).

    classes: int [N] in 0..num_classes-1. Raises ValueError for vectors with NaN, for no rows, and
    for classes outside that range.
    """
    if not len(x) or not np.isfinite(x).all():
        raise ValueError("a probe needs vectors, all of them finite")
    if classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(f"classes must be in 0..{num_classes - 1}, not {np.unique(classes)}")
    mean, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    scale = np.where(scale > 1e-9, scale, 1.0)
    x = (x - mean) / scale
    rows, (count, width) = np.arange(len(x)), x.shape

    def loss(flat):
        w, b = flat[:-num_classes].reshape(width, num_classes), flat[-num_classes:]
        logits = x @ w + b
        norm = logsumexp(logits, axis=1, keepdims=True)
        error = np.exp(logits - norm)
        error[rows, classes] -= 1
        value = np.mean(norm[:, 0] - logits[rows, classes]) + decay / 2 * np.sum(w**2)
        slope = x.T @ error / count + decay * w
        return value, np.concatenate([slope.ravel(), error.mean(axis=0)])

    start = np.zeros((width + 1) * num_classes)
    options = {"maxiter": 1000}
    with threadpool_limits(1):  # on small matrices threads mostly wait for each other
        best = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return Probe(mean, scale, best[:-num_classes].reshape(width, -1), best[-num_classes:])
