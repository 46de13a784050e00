"""CLIPScore (Hessel et al., EMNLP 2021, equation 1) and the plain cosine, of pairs."""

import numpy as np

from t2i_jax.evaluation.metrics.cosine import unit
from t2i_jax.evaluation.metrics.rows import finite, same_width

WEIGHT = 2.5
PREFIX = "A photo depicts "  # of every caption in the paper


def clip_similarities(images: np.ndarray, captions: np.ndarray) -> np.ndarray:
    """The cosine of each image and its caption, float64 [N], of vectors [N, E].

    Raises ValueError for NaN or infinity, naming the row, and for arrays that do not fit.
    """
    images, captions = finite(images, "vectors of images"), finite(captions, "vectors of captions")
    same_width(images, captions, "CLIP similarity")
    if len(images) != len(captions):
        raise ValueError(f"CLIP similarity: {len(images)} images and {len(captions)} captions")
    return np.sum(unit(images) * unit(captions), axis=1)


def clip_scores(similarities: np.ndarray) -> np.ndarray:
    """CLIPScore of each pair: the cosine times 2.5, and 0 where it is negative. The captions that
    were embedded began with `PREFIX`, else it is no CLIPScore. The score of a set is the mean.
    """
    return WEIGHT * np.maximum(similarities, 0)
