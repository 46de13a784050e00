"""Pictures of shares by attribute: bars with intervals, and tables of what was read for what."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image


def bars(found: Mapping[str, Mapping[str, Any]], fields: Sequence[str], title: str) -> Image.Image:
    """Groups of bars, one group an attribute, one bar a field in 0..1.

    The first field's bars carry the row's ``interval``.
    """
    plt = _pyplot()
    figure, panel = plt.subplots(figsize=(max(6, 1.1 * len(found)), 4))
    width, places = 0.8 / len(fields), np.arange(len(found))
    for k, field in enumerate(fields):
        heights = [row[field] for row in found.values()]
        panel.bar(places + (k - (len(fields) - 1) / 2) * width, heights, width, label=field)
    at = places - (len(fields) - 1) / 2 * width
    for x, row in zip(at, found.values(), strict=True):
        panel.plot([x, x], row["interval"], color="black", linewidth=1)
    panel.set_xticks(places, list(found), rotation=20)
    panel.set_ylim(0, 1.02)
    panel.grid(axis="y", alpha=0.3)
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    panel.set_title(title, fontsize=9)
    return _picture(figure)


def _pyplot():
    import matplotlib  # slow to import

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _picture(figure) -> Image.Image:
    file = io.BytesIO()
    figure.savefig(file, dpi=110, bbox_inches="tight")
    _pyplot().close(figure)
    return Image.open(file).convert("RGB")
