"""The Inception Score of logits (Salimans et al., NeurIPS 2016, section 4) in one pass.

Of a part of the images, ``exp(mean over images of KL(p || mean over images of p))``, which is
``exp(mean of sum p log p - sum q log q)`` with q the mean of p: two sums are all there is to keep.
"""

from typing import Any

import numpy as np
from scipy.special import log_softmax, xlogy

from t2i_jax.evaluation.metrics.rows import finite


class InceptionScore:
    """The sums over the images of each part.

    rows: images in all. classes: logits of each.
    splits: parts of a random order; the score is the mean over parts, with their deviation.
    seed: of that order (samples that come sorted by class need one); None for the given one.
    temperature: divides the logits; other than 1 it is IS* (Dinh et al., ECCV 2022, section 3.1),
        another number.

    Raises ValueError where a part would have no image.
    """

    def __init__(
        self,
        rows: int,
        classes: int,
        splits: int = 10,
        seed: int | None = 2020,
        temperature: float = 1.0,
    ):
        if not 1 <= splits <= rows:
            raise ValueError(f"Inception Score: {rows} images cannot be cut into {splits} parts")
        if not temperature > 0:
            raise ValueError(f"Inception Score: temperature={temperature} is not above 0")
        order = np.arange(rows) if seed is None else np.random.RandomState(seed).permutation(rows)
        edges = np.arange(splits + 1) * rows // splits
        self._part = np.empty(rows, int)
        self._part[order] = np.repeat(np.arange(splits), np.diff(edges))
        self._temperature = temperature
        self._seen = np.zeros(rows, bool)
        self._probability = np.zeros((splits, classes))
        self._negative_entropy = np.zeros(splits)

    def add(self, logits: Any, rows: np.ndarray | slice) -> None:
        """Takes logits [N, classes] of the images of these numbers, in any order of batches.

        Raises ValueError for NaN or infinity, another width, and an image that was taken before.
        """
        x = finite(logits, "logits")
        if x.shape[1] != self._probability.shape[1]:
            raise ValueError(f"logits of {x.shape[1]} classes, not {self._probability.shape[1]}")
        parts = self._part[rows]
        if len(parts) != len(x):
            raise ValueError(f"logits of {len(x)} images for {len(parts)} row numbers")
        self._see(np.bincount(np.arange(len(self._part))[rows], minlength=len(self._part)))
        log_p = log_softmax(x / self._temperature, axis=1)
        p = np.exp(log_p)
        np.add.at(self._probability, parts, p)
        np.add.at(self._negative_entropy, parts, np.sum(p * log_p, axis=1))

    def merge(self, other: "InceptionScore") -> None:
        """Takes all images of another one, made with the same arguments.

        Raises ValueError where it was not, or where both have seen an image.
        """
        same = self._temperature == other._temperature
        same &= self._probability.shape == other._probability.shape
        if not (same and np.array_equal(self._part, other._part)):
            raise ValueError("Inception Scores of other images, classes, parts or temperatures")
        self._see(other._seen)
        self._probability += other._probability
        self._negative_entropy += other._negative_entropy

    def _see(self, times: np.ndarray) -> None:
        """times: how often each image is taken now, [rows]."""
        twice = np.flatnonzero(self._seen + times.astype(int) > 1)
        if len(twice):
            raise ValueError(f"Inception Score: image {twice[0]} is given twice")
        self._seen |= times > 0

    def result(self) -> tuple[float, float]:
        """(mean, population deviation) over the parts. Raises ValueError while images lack."""
        if not self._seen.all():
            missing = np.flatnonzero(~self._seen)
            raise ValueError(
                f"Inception Score: {len(missing)} of {len(self._seen)} images lack, the first is "
                f"number {missing[0]}"
            )
        count = np.bincount(self._part)
        q = self._probability / count[:, None]
        scores = np.exp(self._negative_entropy / count - xlogy(q, q).sum(axis=1))
        return float(scores.mean()), float(scores.std())


def inception_score(
    logits: Any, splits: int = 10, seed: int | None = 2020, temperature: float = 1.0
) -> tuple[float, float]:
    """(mean, population deviation) of logits [N, classes]; see `InceptionScore`."""
    rows, classes = np.shape(logits)
    score = InceptionScore(rows, classes, splits, seed, temperature)
    score.add(logits, slice(None))
    return score.result()
