"""The kernel distance of two sets of features: KID is that of an Inception network's features
(Bińkowski et al., ICLR 2018, section 4).
"""

from typing import NamedTuple

import numpy as np

from t2i_jax.evaluation.metrics.rows import Rows, finite, same_width


class KernelDistance(NamedTuple):
    """mean, deviation (population): of the subsets. subsets: the distance in each, float64."""

    mean: float
    deviation: float
    subsets: np.ndarray


def kernel_distance(
    a: Rows, b: Rows, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> KernelDistance:
    """The unbiased squared maximum mean discrepancy by the kernel ``(x . y / D + 1)^3``, of subsets
    that are drawn without replacement; 0 is expected of equal distributions, so that it is negative
    at times. Unlike the Fréchet distance it does not depend on the number of samples.

    a, b: features [N, D] and [M, D]; only a subset of each is in memory at a time.
    seed: of the one stream that draws a subset of `a`, one of `b`, and so on, as torch-fidelity's.

    Raises ValueError where a set is smaller than a subset, for different widths, and for NaN or
    infinity.
    """
    if size < 2 or subsets < 1:
        raise ValueError(f"kernel distance: {subsets} subsets of {size} rows; give 1 of 2 at least")
    if size > min(len(a), len(b)):
        raise ValueError(
            f"kernel distance: sets of {len(a)} and {len(b)} rows have no subset of {size}; give "
            "more samples, or a smaller subset and name it with the result"
        )
    random = np.random.RandomState(seed)
    found = []
    for _ in range(subsets):
        x = finite(a[random.choice(len(a), size, replace=False)], "a subset of the first set")
        y = finite(b[random.choice(len(b), size, replace=False)], "a subset of the second set")
        same_width(x, y, "kernel distance")
        found.append(_discrepancy(x, y))
    return KernelDistance(float(np.mean(found)), float(np.std(found)), np.array(found))


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    """Of as many rows: without the pairs of a row with itself, which would bias it."""
    m, within = len(x), 0.0
    for kernel in (_kernel(x, x), _kernel(y, y)):
        within += kernel.sum() - np.trace(kernel)
    return within / (m * (m - 1)) - 2 * _kernel(x, y).mean()
