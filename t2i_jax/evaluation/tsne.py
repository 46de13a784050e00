"""The mode-collapse check of StackGAN-v2 (Zhang et al., arXiv 1710.10916): samples laid out by
t-SNE, so that regions of near-identical images show, and the same in numbers.

Departures from the paper: it uses Inception features and a few thousand samples, here both are
chosen; and coordinates are snapped to a grid that leaves no sample out. The numbers are this
library's own.
"""

import importlib.util
import math

import numpy as np
from PIL import Image
from scipy.spatial.distance import cdist

from t2i_jax import pictures
from t2i_jax.evaluation.extractors.base import Extractor, usual_layer
from t2i_jax.evaluation.subject import Subject
from t2i_jax.waiting import Waiting

FORMULAS = {
    "distance": "d(a, b) = ||features(a) - features(b)||_2",
    "compared": "m = min(n, real test images); the first m samples and m real images",
    "mean_distance_samples": "2 / (m (m - 1)) * sum over i < j of d(sample i, sample j)",
    "mean_distance_real": "the same of the real images",
    "mean_distance_ratio": "mean_distance_samples / mean_distance_real",
    "near_copy_threshold": "1st percentile over i of min over j != i of d(real i, real j)",
    "near_copy_share": "share of samples i with min over j != i of d(sample i, sample j) <= "
    "near_copy_threshold; about 0.01 for images as varied as the real ones, 1 for copies",
}

_PERPLEXITY = 30.0
_RANDOM_STATE = 0
_ROOM = 1.5  # cells of the grid for each sample: groups stay apart
_SIDE = 2048  # pixels of the picture, about
_LEAST = 4  # samples; t-SNE has nothing to say of fewer
_BLOCK = 256  # rows of distances at a time: memory stays linear in the samples


def evaluate(subject: Subject, features: Extractor) -> tuple[dict, dict[str, Image.Image]]:
    """(result, pictures by name) of the protocol: what the samples were, and `collapse_numbers`.

    Raises ModuleNotFoundError, before anything is drawn, where scikit-learn is missing, and
    ValueError for fewer than 4 samples.
    """
    _check_installed()
    if subject.num < _LEAST:
        raise ValueError(f"num={subject.num}: t-SNE needs at least {_LEAST} samples")
    images = subject.draw()
    layer = usual_layer(features.widths)
    vectors = features.extract(images)[layer]
    real = None if subject.real is None else features.extract(subject.real())[layer]
    numbers = collapse_numbers(vectors, real)
    side = grid_side(len(images))
    cells = snap(embed(vectors), side)
    result = {
        **subject.describe(),
        "features": features.name,
        "features_description": features.description,
        "perplexity": perplexity(len(images)),
        "random_state": _RANDOM_STATE,
        "collapse": numbers,
        "formulas": FORMULAS,
    }
    picture = pictures.titled([(_title(subject, features, numbers), draw(images, cells, side))])
    return result, {"tsne": picture}


def collapse_numbers(samples: np.ndarray, real: np.ndarray | None) -> dict:
    """How varied samples are, by their features [N, E] and those of real images [M, E].

    `FORMULAS` has the formulas. Without real images, and where the ratio has no meaning since all
    real images are equal, what needs them is None. Nearest neighbours come nearer as sets grow,
    hence the same number of both. Raises ValueError for fewer than 2 of either.
    """
    m = len(samples) if real is None else min(len(samples), len(real))
    if m < 2:
        raise ValueError(f"distances need at least 2 samples and 2 real images, not {m}")
    mean, nearest = _distances(samples[:m])
    numbers = dict.fromkeys(name for name in FORMULAS if name != "distance")
    numbers.update(compared=m, mean_distance_samples=mean)
    if real is not None:
        real_mean, real_nearest = _distances(real[:m])
        threshold = float(np.percentile(real_nearest, 1))
        numbers.update(
            mean_distance_real=real_mean,
            mean_distance_ratio=mean / real_mean if real_mean else None,
            near_copy_threshold=threshold,
            near_copy_share=float(np.mean(nearest <= threshold)),
        )
    return numbers


def _distances(vectors: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean distance over pairs, and each vector's distance [N] to its nearest neighbour."""
    vectors, count = np.asarray(vectors, np.float64), len(vectors)
    total, nearest = 0.0, np.empty(count)
    for start in range(0, count, _BLOCK):
        block = cdist(vectors[start : start + _BLOCK], vectors)
        rows = np.arange(len(block))
        total += block.sum()
        block[rows, start + rows] = np.inf
        nearest[start : start + _BLOCK] = block.min(axis=1)
    return float(total / (count * (count - 1))), nearest


def perplexity(count: int) -> float:
    """Of t-SNE on `count` samples: 30, less where that is more than a third of the others."""
    return min(_PERPLEXITY, (count - 1) / 3)


def embed(vectors: np.ndarray, random_state: int = _RANDOM_STATE) -> np.ndarray:
    """t-SNE coordinates [N, 2] of vectors [N, E], the same each time.

    One thread: several add up in an order of their own, and t-SNE amplifies that. Raises
    ModuleNotFoundError where scikit-learn is missing.
    """
    _check_installed()
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    varied = min(vectors.shape) > 1 and np.ptp(vectors, axis=0).any()
    with threadpool_limits(1), Waiting("laying images out by t-SNE"):
        return TSNE(
            perplexity=perplexity(len(vectors)),
            init="pca" if varied else "random",  # equal vectors have no principal components
            random_state=random_state,
        ).fit_transform(np.asarray(vectors, np.float32))


def grid_side(count: int) -> int:
    """Rows and columns of the grid for `count` images."""
    return math.ceil(math.sqrt(_ROOM * count))


def snap(points: np.ndarray, side: int) -> np.ndarray:
    """A cell (row, column) of a side x side grid for each point [N, 2], no cell twice: int [N, 2].

    The points' bounding box is stretched over the grid (x to columns, y to rows); then, in order,
    each takes the free cell nearest to it, of equally near ones the first by row, then column.
    Raises ValueError for more points than cells.
    """
    if len(points) > side * side:
        raise ValueError(f"{len(points)} points for {side * side} cells")
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    unit = np.where(extent > 0, (points - low) / np.where(extent > 0, extent, 1), 0.5)
    places = unit[:, ::-1].astype(np.float64) * (side - 1)
    free = np.stack(np.divmod(np.arange(side * side), side), axis=1)
    cells = np.empty((len(points), 2), np.int64)
    for i, place in enumerate(places):
        nearest = np.argmin(np.square(free - place).sum(axis=1))
        cells[i] = free[nearest]
        free = np.delete(free, nearest, axis=0)
    return cells


def draw(images: np.ndarray, cells: np.ndarray, side: int) -> Image.Image:
    """Images uint8 [N, H, W, 3] on a white grid, each in its cell: shrunk to fit a picture of about
    2048 pixels, never below 16.
    """
    height, width = images.shape[1:3]
    wide = min(width, max(16, _SIDE // side))
    tall = max(1, round(height * wide / width))
    canvas = Image.new("RGB", (side * wide, side * tall), "white")
    for image, (row, column) in zip(images, cells.tolist(), strict=True):
        small = Image.fromarray(image).resize((wide, tall), Image.Resampling.BOX)
        canvas.paste(small, (column * wide, row * tall))
    return canvas


def _title(subject: Subject, features: Extractor, numbers: dict) -> str:
    parts = [
        f"t-SNE of {subject.num:,} samples of {subject.workdir} ({subject.system}), "
        f"step {subject.step:,}, seed {subject.seed}",
        f"features: {features.name} ({features.description})",
    ]
    if subject.captions:
        parts.append(f"captions: {subject.captions}")
    if numbers["near_copy_share"] is not None:
        parts.append(f"near copies: {numbers['near_copy_share']:.1%} (real images: about 1%)")
    if numbers["mean_distance_ratio"] is not None:
        parts.append(f"mean distance: {numbers['mean_distance_ratio']:.2f} of real images'")
    return "; ".join(parts)


def _check_installed() -> None:
    if importlib.util.find_spec("sklearn") is None:
        raise ModuleNotFoundError(
            "t-SNE needs scikit-learn: pip install 't2i_jax[eval]'", name="sklearn"
        )
