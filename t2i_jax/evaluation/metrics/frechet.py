"""The Fréchet distance of two sets of features, each taken for a Gaussian: FID is this distance of
an Inception network's features (Heusel et al., NeurIPS 2017, equation 6).

``|m1 - m2|^2 + tr C1 + tr C2 - 2 tr sqrt(C1 C2)``. The last trace is the sum of the singular values
of ``sqrt(C1) sqrt(C2)``: real and never negative also where covariances are singular, where roots
or eigenvalues of the product, which is not symmetric, turn complex or lose half of their digits.
"""

from typing import Any

import numpy as np

from t2i_jax.evaluation.metrics.moments import Moments
from t2i_jax.evaluation.metrics.rows import finite, same_width


def frechet_distance(a: Moments, b: Moments) -> float:
    """Of all features that were added to each. Never negative, NaN or complex.

    Raises ValueError where either has seen fewer than two rows, and for different widths.
    """
    return gaussian_distance(a.mean, a.covariance(), b.mean, b.covariance())


def gaussian_distance(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """The same of means [D] and covariances [D, D]: of statistics that others published.

    Raises ValueError for NaN or infinity, and for arrays that do not fit.
    """
    same_width(mean_a, mean_b, "Fréchet distance")
    for mean, covariance in ((mean_a, covariance_a), (mean_b, covariance_b)):
        if covariance.shape != 2 * mean.shape or not np.isfinite(covariance).all():
            raise ValueError(
                f"Fréchet distance: a mean of shape {mean.shape} and a covariance of "
                f"{covariance.shape}, or numbers that are not finite"
            )
    roots = _root(covariance_a) @ _root(covariance_b)
    traces = np.trace(covariance_a) + np.trace(covariance_b)
    return _distance(mean_a - mean_b, traces, roots)


def frechet_distance_of_few(a: Any, b: Any) -> float:
    """The same of features [N, D] and [M, D] themselves.

    Costs N M (D + min(N, M)) operations instead of D^3, and loses no digits to singular
    covariances: the way for fewer samples than features.

    Raises ValueError for NaN or infinity, naming the row, and as `frechet_distance`.
    """
    x, y = finite(a, "features of the first set"), finite(b, "features of the second set")
    same_width(x, y, "Fréchet distance")
    if min(len(x), len(y)) < 2:
        raise ValueError(f"a covariance needs two rows at least, not {min(len(x), len(y))}")
    means = x.mean(axis=0), y.mean(axis=0)
    x, y = ((z - m) / np.sqrt(len(z) - 1) for z, m in zip((x, y), means, strict=True))
    # x.T @ x and y.T @ y are the covariances, and the nuclear norm of a product of their roots does
    # not depend on which roots they are.
    return _distance(means[0] - means[1], np.sum(x**2) + np.sum(y**2), x @ y.T)


def _distance(apart: np.ndarray, traces: float, roots: np.ndarray) -> float:
    shared = np.linalg.svd(roots, compute_uv=False).sum()
    return max(float(apart @ apart + traces - 2 * shared), 0.0)


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric root; eigenvalues that rounding made negative count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
