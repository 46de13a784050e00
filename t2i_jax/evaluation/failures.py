"""Failures: images sorted by a metric, the worst first, beside the best.

A mean hides what goes wrong; the worst twenty show it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from t2i_jax import pictures

_CELL = 160
_COLUMNS = 4


def evaluate(
    scores: np.ndarray,
    captions: Sequence[str],
    images: Callable[[Sequence[int]], np.ndarray],
    metric: str,
    describe: dict,
    higher_is_better: bool = True,
    shown: int = 24,
) -> tuple[dict, dict[str, Image.Image], str]:
    """(result, pictures by name, what to print).

    scores: [N], one an image. captions: one each.
    images: uint8 [n, H, W, 3] of n indices; asked for those alone that are shown.
    metric: what the scores are, in words. describe: what a result says of the images, JSON types.
    shown: how many of each end, at most half of all.

    Raises ValueError for no scores, another number of captions, and a score that is not finite.
    """
    scores = np.asarray(scores, np.float64)
    if not len(scores) or len(captions) != len(scores):
        raise ValueError(f"failures: {len(scores)} scores and {len(captions)} captions")
    if not np.isfinite(scores).all():
        index = int(np.argmin(np.isfinite(scores)))
        raise ValueError(f"failures: the score of image {index} is {scores[index]}")
    worst, best = ends(scores, higher_is_better, shown)
    parts = {"worst": worst, "best": best}
    listed = {
        end: [{"index": int(i), "score": float(scores[i]), "caption": captions[i]} for i in indices]
        for end, indices in parts.items()
    }
    quantiles = np.percentile(scores, [0, 5, 25, 50, 75, 95, 100])
    result = {
        **describe,
        "metric": metric,
        "higher_is_better": higher_is_better,
        "n": len(scores),
        "quantiles": dict(zip("0 5 25 50 75 95 100".split(), quantiles.tolist(), strict=True)),
        **listed,
    }
    drawn = [
        _grid(f"The {end} {len(indices)} of {len(scores):,} by {metric}", listed[end], images)
        for end, indices in parts.items()
        if len(indices)
    ]
    return result, {"failures": pictures.beside(drawn)}, text(result)


def ends(scores: np.ndarray, higher_is_better: bool, shown: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the worst, worst first, and of the best, best first; no index in both. Of equal
    scores the earlier index counts as the worse.
    """
    order = np.argsort(scores if higher_is_better else -scores, kind="stable")
    bad = min(shown, -(-len(order) // 2))
    good = min(shown, len(order) // 2)
    return order[:bad], order[::-1][:good]


def text(result: dict) -> str:
    """The worst ten in lines for the terminal."""
    lines = [f"worst of {result['n']:,} by {result['metric']}:"]
    lines += [
        f"{row['score']:9.4g}  image {row['index']}: {row['caption']}"
        for row in result["worst"][:10]
    ]
    return "\n".join(lines)


def _grid(title: str, rows: Sequence[dict], images) -> Image.Image:
    drawn = images([row["index"] for row in rows])
    below = [f"{row['score']:.4g} (image {row['index']}): {row['caption']}" for row in rows]
    grid = pictures.grid(drawn, below, min(_COLUMNS, len(rows)), _CELL, lines=None)
    return pictures.titled([(title, grid)])
