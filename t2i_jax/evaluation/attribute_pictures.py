"""Pictures of shares by attribute: bars with intervals, and tables of what was read for what."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

Found = Mapping[str, Mapping[str, Any]]

_COLUMNS = 5  # tables beside each other


def bars(found: Found, fields: Sequence[str], title: str) -> Image.Image:
    """Groups of bars, one group an attribute, one bar a field in 0..1.

    The first field's bars carry the row's ``interval``.
    """
    figure = _figure(figsize=(max(6, 1.1 * len(found)), 4))
    _bars(figure.subplots(), found, fields, title)
    return _picture(figure)


def report(found: Found, title: str) -> Image.Image:
    """Bars of each attribute's share, ceiling and chance over a table of each attribute: rows by
    the stated value, columns by the value that was read, as shares of the row.
    """
    rows = -(-len(found) // _COLUMNS)
    figure = _figure(figsize=(3.4 * _COLUMNS, 4 + 3.6 * rows), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[4, 3.6 * rows])
    _bars(above.subplots(), found, ("share", "ceiling", "chance"), title)
    panels = below.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for panel, (name, row) in zip(panels, found.items(), strict=False):
        counts = np.asarray(row["confusion"], float)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        panel.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        for (i, j), value in np.ndenumerate(shares):
            if value >= 0.005:
                color = "white" if value > 0.5 else "black"
                panel.text(
                    j, i, f"{100 * value:.0f}", ha="center", va="center", color=color, size=6
                )
        panel.set_xticks(range(len(counts)), row["values"], rotation=90, fontsize=7)
        panel.set_yticks(range(len(counts)), row["values"], fontsize=7)
        panel.set_title(f"{name}: stated (rows), read, %", fontsize=8)
    for panel in panels[len(found) :]:
        panel.axis("off")
    return _picture(figure)


def _bars(panel, found: Found, fields: Sequence[str], title: str) -> None:
    found = {name: row for name, row in found.items() if row["n"]}
    width, places = 0.8 / len(fields), np.arange(len(found))
    for k, field in enumerate(fields):
        heights = [row[field] or 0.0 for row in found.values()]
        panel.bar(places + (k - (len(fields) - 1) / 2) * width, heights, width, label=field)
    for x, row in zip(places - (len(fields) - 1) / 2 * width, found.values(), strict=True):
        panel.plot([x, x], row["interval"], color="black", linewidth=1)
    panel.set_xticks(places, list(found), rotation=20)
    panel.set_ylim(0, 1.02)
    panel.grid(axis="y", alpha=0.3)
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    panel.set_title(title, fontsize=9)


def _figure(**options: Any):
    from matplotlib.figure import Figure  # slow to import; pyplot would choose a backend

    return Figure(**options)


def _picture(figure) -> Image.Image:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, bbox_inches="tight")
    return Image.open(file).convert("RGB")
