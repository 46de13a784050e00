"""Linear mixtures of two things, for interpolations."""

import numpy as np

from t2i_jax.choices import check_whole


def weights(steps: int) -> np.ndarray:
    """Shares of the second end, [steps], from 0 to 1. ValueError for fewer than 2."""
    check_whole("steps", steps, 2)  # an interpolation has its ends
    return np.linspace(0, 1, steps, dtype=np.float32)


def mix(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """[...] twice -> [steps, ...]; exact at both ends."""
    t = t.reshape(-1, *[1] * a.ndim)
    return (1 - t) * a + t * b
