"""What the parity cases share."""

import numpy as np


def close(actual, expected, what: str, tolerance: float = 1e-4, floor: float = 0.0) -> None:
    """Asserts equal shapes and an error of at most `tolerance` of the largest expected entry.

    floor: an absolute error that is always allowed, for arrays that are 0 in exact arithmetic.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: {actual.shape} is not {expected.shape}"
    error = np.max(np.abs(actual - expected), initial=0.0)
    scale = np.max(np.abs(expected), initial=0.0)
    limit = max(tolerance * scale, floor)
    assert error <= limit, f"{what}: off by {error:.2e}, largest entry {scale:.2e}"


def section(arrays, prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def nhwc(x: np.ndarray) -> np.ndarray:
    """[B, C, H, W] -> [B, H, W, C]."""
    return np.transpose(x, (0, 2, 3, 1))
