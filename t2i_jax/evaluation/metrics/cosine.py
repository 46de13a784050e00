"""The cosine of vectors, of all pairs or row by row."""

import numpy as np

# Cosines that differ by less are one cosine, rounded in two ways.
EQUAL = {"float64": 1e-9, "float32": 2e-6}

_SMALLEST_NORM = 1e-8


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of vectors [I, E] and [J, E], float64 [I, J]; 0 for a vector of 0."""
    return unit(a) @ unit(b).T


def unit(x: np.ndarray) -> np.ndarray:
    """Vectors [..., E] divided by their norms, float64; a norm counts as 1e-8 at least."""
    x = x.astype(np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), _SMALLEST_NORM)
