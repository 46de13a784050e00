"""Whether vectors tell pairs of one style from pairs of two: the check of disentangled style and
content of GAN-INT-CLS (Reed et al., ICML 2016, section 5.1).

The vectors are styles that an encoder reads from images, or embeddings of their captions as the
baseline; images of one group (a cluster of poses or of background colours) share a style. The score
of a pair is the cosine.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from t2i_jax.evaluation.metrics.cosine import unit
from t2i_jax.evaluation.metrics.groups import of_others
from t2i_jax.evaluation.metrics.rows import finite


class Verification(NamedTuple):
    """mean, deviation (population): of the folds. folds: the area under each one's ROC curve."""

    mean: float
    deviation: float
    folds: np.ndarray


def roc_auc(same: np.ndarray, different: np.ndarray) -> float:
    """The area under the ROC curve: how often a pair of the same style scores higher than one of
    different styles, ties counting one half. same, different: scores of pairs, [P] and [Q].

    Raises ValueError for NaN and where either has none.
    """
    scores = np.concatenate([np.ravel(same), np.ravel(different)]).astype(np.float64)
    p, q = np.size(same), np.size(different)
    if not (p and q) or np.isnan(scores).any():
        raise ValueError(f"ROC AUC: {p} and {q} scores; some of each are needed, and none NaN")
    return float((rankdata(scores)[:p].sum() - p * (p + 1) / 2) / (p * q))


def draw_pairs(
    groups: np.ndarray, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(pairs of rows of one group, pairs of rows of two), int [count, 2] each, uniform over all
    such pairs, with replacement.

    Raises ValueError where no two rows share a group, or all do.
    """
    order = np.argsort(groups, kind="stable")
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 2 or sizes.max() < 2:
        raise ValueError(
            f"verification: {len(groups)} rows of {len(sizes)} groups have no pair of one group "
            "and one of two; give more rows, fewer groups or fewer folds"
        )
    pairs = sizes * (sizes - 1)
    group = random.choice(len(sizes), count, p=pairs / pairs.sum())
    first = random.integers(sizes[group])
    second = random.integers(sizes[group] - 1)
    second += second >= first
    starts = (np.cumsum(sizes) - sizes)[group]
    same = np.stack([order[starts + first], order[starts + second]], axis=1)
    others = len(groups) - sizes[inverse]
    row = random.choice(len(groups), count, p=others / others.sum())
    return same, np.stack([row, of_others(groups, row, 1, random)[:, 0]], axis=1)


def verification(
    vectors: np.ndarray, groups: np.ndarray, folds: int = 5, pairs: int = 10_000, seed: int = 0
) -> Verification:
    """Of vectors [N, E] and the group of each, integers [N].

    folds: of rows dealt at random, so that no row is in two. pairs: of one style, and as many of
    two, in each. The paper gives neither the number of pairs nor how folds are made.

    Raises ValueError for NaN or infinity, naming the row, and where a fold has no such pairs.
    """
    x, groups = unit(finite(vectors, "vectors")), np.asarray(groups)
    if len(groups) != len(x):
        raise ValueError(f"verification: {len(x)} vectors and groups of {len(groups)}")
    random = np.random.default_rng(seed)
    found = []
    for rows in np.array_split(random.permutation(len(x)), folds):
        drawn = draw_pairs(groups[rows], pairs, random)
        scores = (np.sum(x[rows[p[:, 0]]] * x[rows[p[:, 1]]], axis=1) for p in drawn)
        found.append(roc_auc(*scores))
    return Verification(float(np.mean(found)), float(np.std(found)), np.array(found))
