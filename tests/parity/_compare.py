"""What the parity cases share."""

from collections.abc import Mapping

import numpy as np

# Below this fraction of a gradient's largest entry an expected array is taken for 0 in exact
# arithmetic: double precision rounds at 1e-16.
NOTHING = 1e-10
# Single precision rounds at 6e-8; this leaves room for sums of such errors.
ROUNDING = 1e-6


def close(actual, expected, what: str, tolerance: float = 1e-4, floor: float = 0.0) -> None:
    """Asserts equal shapes and an error of at most `tolerance` of the largest expected entry.

    floor: an absolute error that is always allowed.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: {actual.shape} is not {expected.shape}"
    error = np.max(np.abs(actual - expected), initial=0.0)
    scale = np.max(np.abs(expected), initial=0.0)
    limit = max(tolerance * scale, floor)
    assert error <= limit, f"{what}: off by {error:.2e}, largest entry {scale:.2e}"


def close_gradients(
    actual: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    what: str = "gradient",
    tolerance: float = 1e-4,
) -> None:
    """Asserts that the arrays of a whole gradient, or their norms, are `close` name by name.

    An array that is 0 in exact arithmetic, such as that of a bias in front of a batch norm, holds
    rounding errors alone. They come from values as large as those of the other arrays, so they are
    measured by the largest entry of all arrays.
    """
    assert actual.keys() == expected.keys()
    sizes = {name: np.max(np.abs(array), initial=0.0) for name, array in expected.items()}
    largest = max(sizes.values())
    for name, array in expected.items():
        floor = ROUNDING * largest if sizes[name] <= NOTHING * largest else 0.0
        close(actual[name], array, f"{what} of {name}", tolerance, floor)


def section(arrays, prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def nhwc(x: np.ndarray) -> np.ndarray:
    """[B, C, H, W] -> [B, H, W, C]."""
    return np.transpose(x, (0, 2, 3, 1))
