"""From the features that a protocol is given to its numbers, by `t2i_jax.evaluation.metrics`."""

import os
import secrets
from collections.abc import Callable

import numpy as np

from t2i_jax.evaluation.extractors.base import EMBEDDING, TEXT, usual_layer
from t2i_jax.evaluation.feature_store import FeatureStore
from t2i_jax.evaluation.metrics.clip_score import clip_scores, clip_similarities
from t2i_jax.evaluation.metrics.frechet import frechet_distance
from t2i_jax.evaluation.metrics.inception_score import InceptionScore
from t2i_jax.evaluation.metrics.kernel import kernel_distance
from t2i_jax.evaluation.metrics.moments import Moments
from t2i_jax.evaluation.metrics.neighbours import neighbours
from t2i_jax.evaluation.metrics.object_accuracy import masses, object_accuracy
from t2i_jax.evaluation.metrics.r_precision import draw_negatives, r_precision
from t2i_jax.evaluation.protocols.base import Given, Measured

Score = Callable[[Given], Measured]

KID_SUBSETS, KID_SIZE = 100, 1000


def layer_of(store: FeatureStore, layer: str) -> str:
    """The layer, or for "" the usual one of what saw the images."""
    return layer or usual_layer(store.widths)


def moments(store: FeatureStore, layer: str) -> Moments:
    """Mean and covariance of a layer, kept beside its rows once they are computed."""
    kept = store.folder / f"{layer}.moments.npz"
    if kept.exists():
        with np.load(kept) as arrays:
            return Moments.of_arrays(dict(arrays))
    found = Moments(store.widths[layer])
    for rows in store.layer(layer).blocks():
        found.add(rows)
    part = kept.with_name(f"{secrets.token_hex(8)}.npz")  # processes may write it at once
    np.savez(part, **found.arrays())
    os.replace(part, kept)
    return found


def frechet(layer: str, name: str) -> Score:
    """The Fréchet distance of a layer under that name."""

    def score(given: Given) -> Measured:
        at = layer_of(given.samples, layer)
        distance = frechet_distance(moments(given.samples, at), moments(given.reference, at))
        return Measured(values={name: distance}, conditions={"layer": at})

    return score


def kernel(layer: str, name: str) -> Score:
    """The kernel distance of a layer: 100 subsets of 1,000, of smaller sets as large as they are.

    Subsets of another size are told with the result.
    """

    def score(given: Given) -> Measured:
        at = layer_of(given.samples, layer)
        sets = given.samples.layer(at), given.reference.layer(at)
        size = min(KID_SIZE, *map(len, sets))
        found = kernel_distance(*sets, KID_SUBSETS, size)
        conditions = {"layer": at, "subsets": KID_SUBSETS, "subset_size": size}
        return Measured(
            values={name: found.mean}, spreads={name: found.deviation}, conditions=conditions
        )

    return score


def inception(layer: str, splits: int) -> Score:
    """The Inception Score of a layer of logits."""

    def score(given: Given) -> Measured:
        store = given.samples
        sums = InceptionScore(store.count, store.widths[layer], splits)
        start = 0
        for rows in store.layer(layer).blocks():
            sums.add(rows, slice(start, start + len(rows)))
            start += len(rows)
        mean, deviation = sums.result()
        return Measured(
            values={"inception_score": mean},
            spreads={"inception_score": deviation},
            conditions={"layer": layer, "splits": splits},
        )

    return score


def covering(layer: str) -> Score:
    """Precision and recall (k = 3), density and coverage (k = 5)."""

    def score(given: Given) -> Measured:
        at = layer_of(given.samples, layer)
        sets = {"fake": given.samples.layer(at), "real": given.reference.layer(at)}
        published = neighbours(**sets, k=3)
        naeem = neighbours(**sets, k=5, closed=False)
        return Measured(
            values={
                "precision": published.precision,
                "recall": published.recall,
                "density": naeem.density,
                "coverage": naeem.coverage,
            },
            conditions={"layer": at, "k": [3, 5]},
            details={
                **{k: getattr(naeem, k) for k in ("real_copies", "fake_copies")},
                **{k: getattr(naeem, k) for k in ("real_points", "fake_points")},
            },
        )

    return score


def first_of_a_hundred(given: Given) -> Measured:
    """R-precision: how often an image's own caption is the first of 100."""
    images, captions = (given.samples.layer(name)[:] for name in (EMBEDDING, TEXT))
    labels = given.images.labels()
    negatives = draw_negatives(labels, given.seed)
    kept = given.samples.folder / f"negatives-{given.seed}.npy"
    np.save(kept, negatives)
    found = r_precision(images, captions, negatives)
    return Measured(
        values={"r_precision": found.mean},
        spreads={"r_precision": found.deviation},
        conditions={"classes": len(np.unique(labels))},
        details={"negatives": str(kept), "hits": found.hits.tolist()},
    )


def matching(weighted: bool) -> Score:
    """The cosine of image and caption, or CLIPScore, which is a function of it."""

    def score(given: Given) -> Measured:
        vectors = (given.samples.layer(name)[:] for name in (EMBEDDING, TEXT))
        cosines = clip_similarities(*vectors)
        name, each = ("clip_score", clip_scores(cosines)) if weighted else ("similarity", cosines)
        return Measured(values={name: float(each.mean())}, details={"each": each.tolist()})

    return score


def objects(layer: str, name: str) -> Score:
    """How often a classifier of ImageNet sees the object that the set is of: birds."""

    def score(given: Given) -> Measured:
        mass = np.concatenate([masses(rows) for rows in given.samples.layer(layer).blocks()])
        found = object_accuracy(mass)
        values = {name: found["share"], f"{name}_mass": found["mean_mass"]}
        return Measured(values=values, details={"interval": found["interval"]})

    return score
