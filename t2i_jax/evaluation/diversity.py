"""How much the samples of one caption differ: 0 is collapse to one image a caption.

Distances are those of an extractor's features (a perceptual network's, where its weights are
there), between all pairs of a caption's samples, in the mean over captions; that to the nearest
other sample shows near-copies, which the mean hides. MS-SSIM needs no weights. Real images have one
picture a caption: ``_of_real`` are distances between the same number of different held-out images,
so a bound that is not reached.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from rich.console import Console

from t2i_jax.data.prepare_progress import track
from t2i_jax.evaluation.extractors.base import Extractor
from t2i_jax.evaluation.metrics.diversity import distances, similarity

SAMPLES = 10  # of a caption

LOWER_IS_BETTER = ("ms_ssim",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diversity:
    """values: by name, in the mean over captions. each: ``mean_distance`` of every caption."""

    values: Mapping[str, float]
    each: Sequence[float]


def evaluate(
    draw: Callable[[int], np.ndarray],
    captions: int,
    extractor: Extractor,
    layer: str,
    console: Console | None = None,
    title: str = "captions",
) -> Diversity:
    """Of a generator, a caption at a time.

    draw: the samples of caption number i, uint8 [samples, H, W, 3].
    """
    rows = []
    for i in track(range(captions), title, captions, console):
        images = draw(i)
        mean, nearest = distances(extractor.extract(images)[layer][None])
        rows.append((mean, nearest, similarity(images[None])))
    names = ("mean_distance", "nearest_distance", "ms_ssim")
    means = np.mean(rows, axis=0).tolist()
    return Diversity(
        values=dict(zip(names, means, strict=True)), each=[float(row[0]) for row in rows]
    )
