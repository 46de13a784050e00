"""Whether a generator repeats what it was trained on: samples beside the training images nearest to
them. Real held-out images beside theirs are the yardstick, for they cannot have been copied.

Nearness is that of an extractor's features, so a copy is found as far as the extractor sees it.
Held-out images may be of classes that training did not have (CUB, flowers): they then lie farther
from it than new images of the training's classes would. A generator whose training mirrored images
may repeat the mirrored one: it is found where the training set's blocks hold both.

The numbers are this library's own.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image
from scipy.spatial.distance import cdist

from t2i_jax import pictures
from t2i_jax.evaluation import intervals

FORMULAS = {
    "distance": "d(x) = min over training images t of ||features(x) - features(t)||_2",
    "median_samples": "median of d over the samples",
    "median_real": "median of d over real held-out images",
    "median_ratio": "median_samples / median_real",
    "threshold": "1st percentile of d over real held-out images",
    "nearer": "share of samples with d <= threshold; about 0.01 for images as new as the real ones",
    "copies_samples": "number of samples with d = 0",
    "copies_real": "number of real held-out images with d = 0",
}

_BLOCK = 256  # rows and columns of distances at a time
_PERCENTILE = 1

Of = Callable[[Sequence[int]], np.ndarray]  # indices -> uint8 [N, H, W, 3]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Looking:
    """Images that look for their nearest training images.

    features: [N, E]; a memory map will do. images: those of given indices, for the few that are
    shown. captions: one each, or none.
    """

    features: np.ndarray
    images: Of
    captions: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """The training set: features in blocks [B, E], gone through once, and the images of indices in
    the blocks' order.
    """

    blocks: Iterable[np.ndarray]
    images: Of


def evaluate(
    samples: Looking,
    real: Looking | None,
    training: Training,
    describe: dict,
    neighbours: int = 3,
    shown: int = 12,
) -> tuple[dict, dict[str, Image.Image], str]:
    """(result, pictures by name, what to print).

    real: held-out images; None where there are none, then what needs them is None.
    describe: what a result says of samples, extractor, layer and sets, JSON types.
    neighbours, shown: columns and rows of the picture, the nearest samples first.

    Raises ValueError for no samples, fewer training images than neighbours, and features that are
    not finite.
    """
    sides = [samples] if real is None else [samples, real]
    if not all(len(side.features) for side in sides):
        raise ValueError("nearest: no images to look for neighbours of")
    found = nearest([side.features for side in sides], training.blocks, neighbours)
    first = [distances[:, 0] for distances, _ in found]
    measured = numbers(first[0], first[1] if real is not None else None)
    titles = ["samples", "real held-out images"]
    drawn = [
        _side(f"{len(side.features):,} {title}, the nearest first", side, near, training, shown)
        for title, side, near in zip(titles, sides, found, strict=False)
    ]
    order = np.argsort(first[0], kind="stable")[:shown]
    result = {
        **describe,
        "n": len(samples.features),
        "n_real": None if real is None else len(real.features),
        "nearest": measured,
        "first": [
            {"sample": int(i), "training": int(found[0][1][i, 0]), "distance": float(first[0][i])}
            for i in order
        ],
        "formulas": FORMULAS,
    }
    return result, {"nearest": pictures.beside(drawn)}, text(measured)


def nearest(
    queries: Sequence[np.ndarray], blocks: Iterable[np.ndarray], k: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each set of queries [N, E]: distances [N, k], the nearest first, and the places [N, k] of
    those neighbours among the rows of all blocks; of equally near ones the earlier comes first.

    From differences in float64: a copy is at 0 exactly. One pass over the blocks; memory does not
    grow with them. Raises ValueError for fewer than `k` rows in all blocks, and for numbers that
    are not finite.
    """
    found = [(np.full((len(q), k), np.inf), np.full((len(q), k), -1)) for q in queries]
    seen = 0
    for block in blocks:
        for start in range(0, len(block), _BLOCK):
            part = _finite(block[start : start + _BLOCK])
            for vectors, (distances, places) in zip(queries, found, strict=True):
                for first in range(0, len(vectors), _BLOCK):
                    rows = slice(first, first + _BLOCK)
                    new = cdist(_finite(vectors[rows]), part)
                    _merge(distances[rows], places[rows], new, seen)
            seen += len(part)
    if seen < k:
        raise ValueError(f"nearest: {seen} training images, fewer than {k} neighbours")
    return found


def _merge(distances: np.ndarray, places: np.ndarray, new: np.ndarray, seen: int) -> None:
    """Brings new distances [N, B], of rows `seen` and on, into the nearest [N, k] so far."""
    added = np.broadcast_to(np.arange(seen, seen + new.shape[1]), new.shape)
    both = np.concatenate([distances, new], axis=1)
    order = np.argsort(both, axis=1, kind="stable")[:, : distances.shape[1]]
    distances[:] = np.take_along_axis(both, order, axis=1)
    places[:] = np.take_along_axis(np.concatenate([places, added], axis=1), order, axis=1)


def _finite(rows: np.ndarray) -> np.ndarray:
    vectors = np.asarray(rows, np.float64)
    if not np.isfinite(vectors).all():
        raise ValueError("nearest: features that are not finite")
    return vectors


def numbers(samples: np.ndarray, real: np.ndarray | None) -> dict:
    """`FORMULAS` from the distances [N] of samples and [M] of real images to their nearest."""
    measured = dict.fromkeys(name for name in FORMULAS if name != "distance")
    median = float(np.median(samples))
    measured.update(median_samples=median, copies_samples=int(np.sum(samples == 0)))
    if real is not None:
        real_median = float(np.median(real))
        threshold = float(np.percentile(real, _PERCENTILE))
        measured.update(
            median_real=real_median,
            median_ratio=median / real_median if real_median else None,
            threshold=threshold,
            nearer=intervals.share(int(np.sum(samples <= threshold)), len(samples)),
            copies_real=int(np.sum(real == 0)),
        )
    return measured


def text(measured: dict) -> str:
    """The numbers in lines for the terminal."""
    lines = [f"distance to the nearest training image: median {measured['median_samples']:.4g}"]
    if measured["nearer"]:
        nearer = measured["nearer"]
        lines[0] += f", of real held-out images {measured['median_real']:.4g}"
        low, high = nearer["interval"]
        lines.append(
            f"samples nearer than all but 1 % of real held-out images: {nearer['share']:.1%} "
            f"(95 % interval {low:.1%} to {high:.1%})"
        )
    copies = f"copies of a training image, by these features: {measured['copies_samples']:,}"
    if measured["copies_real"] is not None:
        copies += f" samples, {measured['copies_real']:,} real held-out images"
    return "\n".join([*lines, copies])


def _side(
    title: str, side: Looking, near: tuple[np.ndarray, np.ndarray], training: Training, shown: int
) -> Image.Image:
    """A table of the nearest: each image beside its neighbours, their distances below them."""
    order = np.argsort(near[0][:, 0], kind="stable")[:shown]
    distances, places = (part[order] for part in near)
    beside = training.images(places.ravel().tolist())
    beside = beside.reshape(*places.shape, *beside.shape[1:])
    rows = []
    for i, image, own, far in zip(
        order.tolist(), side.images(order.tolist()), beside, distances, strict=True
    ):
        caption = f"{side.captions[i]}\n" if side.captions else ""
        label = f"{caption}image {i}, nearest at {far[0]:.4g}"
        rows.append(pictures.Row(label, [image, *own], ["", *(f"{d:.4g}" for d in far)]))
    header = ["", *(f"training {k + 1}" for k in range(places.shape[1]))]
    return pictures.titled([(title, pictures.table(rows, header))])
