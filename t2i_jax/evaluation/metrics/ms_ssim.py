"""Multi-scale structural similarity of images (Wang, Simoncelli and Bovik, Asilomar 2003)."""

import numpy as np
from scipy.ndimage import correlate1d

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, from fine to coarse: the paper

_SIDE, _SIGMA = 11, 1.5
_K1, _K2, _RANGE = 0.01, 0.03, 255.0


def ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of uint8 images [N, H, W, C] and as many others, float64 [N]: 1 for equal ones. Each channel
    by itself, then their mean; negative structure at a scale counts as 0.

    Scales are averages over 2 x 2 pixels, of which odd sides lose the last. The window is 11 pixels
    wide with a deviation of 1.5, and as much smaller in proportion as a coarse scale asks for, so
    that images from 16 pixels on can be compared; from 176 pixels on it never is.

    Raises ValueError for smaller images and for others than uint8.
    """
    if a.shape != b.shape or a.ndim != 4 or a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(
            f"MS-SSIM: uint8 images [N, H, W, C] are compared, not {a.dtype} {a.shape} with "
            f"{b.dtype} {b.shape}"
        )
    if min(a.shape[1:3]) < 2 ** (len(WEIGHTS) - 1):
        raise ValueError(f"MS-SSIM: images of {a.shape[1:3]} pixels have no {len(WEIGHTS)} scales")
    x, y, product = a.astype(np.float64), b.astype(np.float64), 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            x, y = _halved(x), _halved(y)
        luminance, structure = _compared(x, y)
        last = scale == len(WEIGHTS) - 1
        value = luminance * structure if last else structure
        product = product * np.maximum(value.mean(axis=(1, 2)), 0) ** weight
    return product.mean(axis=-1)


def _compared(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(luminance term, contrast and structure term) in every window, [N, h, w, C] each."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * _RANGE) ** 2, (_K2 * _RANGE) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (var_x + var_y + c2)


def _blurred(x: np.ndarray) -> np.ndarray:
    """Weighted means over the windows that lie inside the image."""
    side = min(_SIDE, *x.shape[1:3])
    at = np.arange(side) - (side - 1) / 2
    window = np.exp(-0.5 * (at / (_SIGMA * side / _SIDE)) ** 2)
    for axis in (1, 2):
        inside = range(side // 2, side // 2 + x.shape[axis] - side + 1)
        x = np.take(correlate1d(x, window / window.sum(), axis), inside, axis)
    return x


def _halved(x: np.ndarray) -> np.ndarray:
    n, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
