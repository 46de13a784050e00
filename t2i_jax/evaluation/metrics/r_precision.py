"""R-precision: how often an image's own caption comes first among 100 by a network that compares
them (AttnGAN, Xu et al., CVPR 2018, section 4.1; drawn as DM-GAN's release does).
"""

from typing import NamedTuple

import numpy as np

from t2i_jax.evaluation.metrics.cosine import EQUAL, unit
from t2i_jax.evaluation.metrics.groups import of_others
from t2i_jax.evaluation.metrics.rows import blocks, finite, same_width

NEGATIVES = 99
PARTS = 10
_BLOCK = 20


class RPrecision(NamedTuple):
    """mean: share of hits. deviation: population, of the shares of the parts. hits: bool [N]."""

    mean: float
    deviation: float
    hits: np.ndarray


def draw_negatives(classes: np.ndarray, seed: int, count: int = NEGATIVES) -> np.ndarray:
    """int [N, count]: which captions stand beside each one's own: of rows of other classes, with
    replacement. Keep them with the result.

    classes: of each row, integers [N]; where every image is a class of its own, as in COCO, the
    number of the image.

    Raises ValueError where all rows are of one class.
    """
    classes = np.asarray(classes)
    random = np.random.default_rng(seed)
    return of_others(classes, np.arange(len(classes)), count, random)


def r_precision(
    images: np.ndarray, captions: np.ndarray, negatives: np.ndarray, parts: int = PARTS
) -> RPrecision:
    """Of vectors [N, E] of images and of their captions, compared by the cosine.

    An image is a hit where its own caption scores higher than all of its negatives; a tie is a
    miss, since which of equal scores comes first is an accident of sorting.

    negatives: rows of `captions`, [N, K].
    parts: of consecutive rows, for the deviation.

    Raises ValueError for NaN or infinity, naming the row, and for arrays that do not fit.
    """
    images, captions = finite(images, "vectors of images"), finite(captions, "vectors of captions")
    same_width(images, captions, "R-precision")
    n, negatives = len(images), np.asarray(negatives)
    if len(captions) != n or negatives.ndim != 2 or len(negatives) != n:
        raise ValueError(
            f"R-precision: {n} images, {len(captions)} captions and negatives of shape "
            f"{negatives.shape}; a caption and a list of negatives belong to each image"
        )
    if not 1 <= parts <= n:
        raise ValueError(f"R-precision: {n} images cannot be cut into {parts} parts")
    images, captions = unit(images), unit(captions)
    hits = np.empty(n, bool)
    for part in blocks(n, _BLOCK):
        own = np.sum(images[part] * captions[part], axis=1)
        others = np.einsum("ne,nke->nk", images[part], captions[negatives[part]])
        hits[part] = (others < own[:, None] - EQUAL["float64"]).all(axis=1)
    shares = [hits[i * n // parts : (i + 1) * n // parts].mean() for i in range(parts)]
    return RPrecision(float(hits.mean()), float(np.std(shares)), hits)
