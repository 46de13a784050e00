"""How much the images of one caption differ."""

import itertools

import numpy as np
from scipy.spatial.distance import pdist, squareform

from t2i_jax.evaluation.metrics.ms_ssim import ms_ssim


def distances(vectors: np.ndarray) -> tuple[float, float]:
    """(mean distance of two samples of a caption, mean distance of a sample to the nearest other of
    its caption), of features [captions, samples, E], over captions.

    The mean hides near-copies: of two modes that are far from each other it sees their distance,
    the nearest neighbour sees 0.
    """
    pairs, nearest = [], []
    for rows in np.asarray(vectors, np.float64):
        between = pdist(rows)
        table = squareform(between)
        np.fill_diagonal(table, np.inf)
        pairs.append(between.mean())
        nearest.append(table.min(axis=1).mean())
    return float(np.mean(pairs)), float(np.mean(nearest))


def similarity(images: np.ndarray) -> float:
    """The mean MS-SSIM of two samples of a caption, over captions, of uint8 images [captions,
    samples, H, W, 3]: 1 is collapse to one image a caption. It needs no weights, and sees layout
    more than content (Odena et al., ICML 2017, section 4.2).

    Raises ValueError for fewer than two samples, and as `ms_ssim`.
    """
    samples = images.shape[1]
    if samples < 2:
        raise ValueError("similarity: two samples of a caption at least are compared, not 1")
    first, second = map(list, zip(*itertools.combinations(range(samples), 2), strict=True))
    return float(np.mean([ms_ssim(rows[first], rows[second]).mean() for rows in images]))
