"""Pictures of results: captioned grids of images, and curves of logged metrics."""

import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from t2i_jax import fonts, paths

_GAP = 6
_TITLE = 14  # font size of titles, in pixels
_TITLE_LINE = _TITLE + 4
_TITLE_WIDTH = 320  # a narrow picture still leaves room for a title
_LABEL = 260  # width of a table's labels, at most


def save(picture: Image.Image, path: paths.Path) -> None:
    """Writes a PNG."""
    drawn = io.BytesIO()
    picture.save(drawn, "PNG")
    paths.write_bytes(path, drawn.getvalue())


def grid(
    images: Sequence[np.ndarray],
    captions: Sequence[str] | None = None,
    columns: int | None = None,
    cell: int | None = None,
    lines: int | None = 6,
) -> Image.Image:
    """One picture of many: images [H, W, 3] uint8, each over its caption.

    cell: width in pixels that every image is shown at; small images are enlarged without blurring.
    lines: of a caption, at most; one that has more ends in "...". None for all.
    Raises ValueError for no images or another number of captions.
    """
    if not len(images):
        raise ValueError("a grid needs at least one image")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(captions)} captions for {len(images)} images")
    columns = columns or min(len(images), max(8, math.ceil(math.sqrt(len(images)))))
    cell = cell or _cell(images)
    size = max(12, cell // 12)  # below, spaces of Pillow's font are hardly seen
    line = size + 3
    texts = [fonts.wrapped(text, size, cell, lines) for text in captions or [""] * len(images)]
    heights = [round(image.shape[0] * cell / image.shape[1]) for image in images]
    rows = [range(i, min(i + columns, len(images))) for i in range(0, len(images), columns)]
    row_heights = [
        max(heights[i] for i in row) + line * max(len(texts[i]) for i in row) + _GAP for row in rows
    ]
    canvas = Image.new(
        "RGB", (columns * (cell + _GAP) + _GAP, sum(row_heights) + _GAP * (len(rows) + 1)), "white"
    )
    draw = ImageDraw.Draw(canvas)
    top = _GAP
    for row, row_height in zip(rows, row_heights, strict=True):
        for column, i in enumerate(row):
            left = _GAP + column * (cell + _GAP)
            enlarge = (
                Image.Resampling.NEAREST if images[i].shape[1] <= cell else Image.Resampling.BOX
            )
            canvas.paste(
                Image.fromarray(images[i]).resize((cell, heights[i]), enlarge), (left, top)
            )
            for k, text in enumerate(texts[i]):
                fonts.draw(draw, (left, top + heights[i] + 2 + k * line), text, size)
        top += row_height + _GAP
    return canvas


def scales_grid(
    scales: Sequence[np.ndarray],
    captions: Sequence[str] | None = None,
    columns: int | None = None,
) -> Image.Image:
    """A grid of images that exist at one or more resolutions, [N, H, W, 3] uint8 each.

    The resolutions of one image stand side by side, at their own sizes, over its caption.
    """
    if len(scales) == 1:
        return grid(list(scales[0]), captions, columns)
    height = max(images.shape[1] for images in scales)
    rows = []
    for parts in zip(*scales, strict=True):
        padded = [
            np.pad(p, ((0, height - len(p)), (0, 4), (0, 0)), constant_values=255) for p in parts
        ]
        rows.append(np.concatenate(padded, axis=1))
    return grid(rows, captions, columns, cell=rows[0].shape[1])


def titled(parts: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures below each other, each under its title, which is wrapped to the picture's width.

    Raises ValueError for no pictures.
    """
    if not parts:
        raise ValueError("nothing to put below each other")
    width = max(max(picture.width for _, picture in parts), _TITLE_WIDTH)
    wrapped = [fonts.wrapped(title, _TITLE, width - 2 * _GAP) for title, _ in parts]
    height = sum(picture.height for _, picture in parts)
    height += sum(_GAP + len(texts) * _TITLE_LINE for texts in wrapped)
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    top = 0
    for texts, (_, picture) in zip(wrapped, parts, strict=True):
        top += _GAP
        _write(draw, (_GAP, top), texts)
        top += len(texts) * _TITLE_LINE
        canvas.paste(picture, (0, top))
        top += picture.height
    return canvas


class Row(NamedTuple):
    """A line of a `table`: images [H, W, 3] uint8, a text below each or None, and a label of one or
    more paragraphs.
    """

    label: str
    images: Sequence[np.ndarray]
    texts: Sequence[str] | None = None


def table(rows: Sequence[Row], header: Sequence[str] = (), cell: int | None = None) -> Image.Image:
    """Rows of images below each other, each to the right of its label, which is wrapped and never
    cut.

    header: a text over each column. cell: as in `grid`. Raises ValueError for no rows.
    """
    if not rows:
        raise ValueError("a table needs at least one row")
    cell = cell or max(_cell(row.images) for row in rows)
    strips = [grid(row.images, row.texts, len(row.images), cell) for row in rows]
    heads = [fonts.wrapped(text, _TITLE, cell) for text in header]
    labels = [
        [line for part in row.label.split("\n") for line in fonts.wrapped(part, _TITLE, _LABEL)]
        for row in rows
    ]
    heights = [
        max(strip.height, len(lines) * _TITLE_LINE + 2 * _GAP)
        for strip, lines in zip(strips, labels, strict=True)
    ]
    widths = [fonts.length(line, _TITLE) for lines in labels for line in lines]
    left = 2 * _GAP + math.ceil(max(widths, default=0))
    top = _GAP + _TITLE_LINE * max(map(len, heads), default=0)
    width = left + max(strip.width for strip in strips)
    canvas = Image.new("RGB", (width, top + sum(heights)), "white")
    draw = ImageDraw.Draw(canvas)
    for column, lines in enumerate(heads):
        _write(draw, (left + _GAP + column * (cell + _GAP), _GAP), lines)
    for strip, lines, height in zip(strips, labels, heights, strict=True):
        _write(draw, (_GAP, top + _GAP), lines)
        canvas.paste(strip, (left, top))
        top += height
    return canvas


def beside(parts: Sequence[Image.Image]) -> Image.Image:
    """Pictures next to each other, their upper edges level. Raises ValueError for no pictures."""
    if not parts:
        raise ValueError("nothing to put beside each other")
    space = 4 * _GAP
    size = (sum(p.width for p in parts) + space * (len(parts) - 1), max(p.height for p in parts))
    canvas, left = Image.new("RGB", size, "white"), 0
    for picture in parts:
        canvas.paste(picture, (left, 0))
        left += picture.width + space
    return canvas


def curves(rows: Sequence[Mapping[str, Any]], out: str | os.PathLike) -> None:
    """Draws every logged metric over the steps: a panel for the losses of each player, for its
    accuracies, and for each evaluation.

    rows: those of a run's ``metrics.jsonl``; None stands for what is not finite.
    """
    from matplotlib.figure import Figure  # slow to import; pyplot would choose a backend

    names = sorted({name for row in rows for name in row if "/" in name})
    panels: dict[str, list[str]] = {}
    for name in names:
        group, _, value = name.partition("/")
        kind = " accuracy" if value.startswith("accuracy") else ""
        if not value.startswith("grad_norm"):
            panels.setdefault(f"{group}{kind}", []).append(name)
    if not panels:
        return
    figure = Figure(figsize=(6 * len(panels), 4))
    axes = figure.subplots(1, len(panels), squeeze=False)
    for panel, (group, members) in zip(axes[0], sorted(panels.items()), strict=True):
        for name in members:
            points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
            panel.plot(*zip(*points, strict=True), label=name, linewidth=1)
        panel.set_xlabel("step")
        panel.set_title(group)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.tight_layout()
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110, format="png")
    paths.write_bytes(paths.path(out), drawn.getvalue())


def _cell(images: Sequence[np.ndarray]) -> int:
    return max(max(image.shape[1] for image in images), 128)


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], lines: Sequence[str]) -> None:
    """Lines of titles and labels, from their upper left corner down."""
    for k, line in enumerate(lines):
        fonts.draw(draw, (place[0], place[1] + k * _TITLE_LINE), line, _TITLE)
