"""Pictures of results: captioned grids of images, and curves of logged metrics."""

import io
import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from t2i_jax import paths

_GAP = 6
_TITLE = 14  # font size of titles, in pixels
_TITLE_LINE = _TITLE + 4
_TITLE_WIDTH = 320  # a narrow picture still leaves room for a title
_CHARACTER = 0.54  # mean width of a character in font sizes


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
) -> Image.Image:
    """One picture of many: images [H, W, 3] uint8, each over its caption.

    cell: width in pixels that every image is shown at; small images are enlarged without blurring.
    Raises ValueError for no images or another number of captions.
    """
    if not len(images):
        raise ValueError("a grid needs at least one image")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(captions)} captions for {len(images)} images")
    columns = columns or min(len(images), max(8, math.ceil(math.sqrt(len(images)))))
    cell = cell or max(max(image.shape[1] for image in images), 128)
    size = max(10, cell // 12)
    font = ImageFont.load_default(size)
    line = size + 3
    width = max(8, int(cell / (_CHARACTER * size)))
    texts = [textwrap.wrap(c, width)[:5] for c in captions] if captions else [[]] * len(images)
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
                draw.text((left, top + heights[i] + 2 + k * line), text, fill="black", font=font)
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
    lines = int((width - 2 * _GAP) / (_CHARACTER * _TITLE))
    wrapped = [textwrap.wrap(title, lines) for title, _ in parts]
    height = sum(picture.height for _, picture in parts)
    height += sum(_GAP + len(texts) * _TITLE_LINE for texts in wrapped)
    canvas = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_TITLE)
    top = 0
    for texts, (_, picture) in zip(wrapped, parts, strict=True):
        top += _GAP
        for text in texts:
            draw.text((_GAP, top), text, fill="black", font=font)
            top += _TITLE_LINE
        canvas.paste(picture, (0, top))
        top += picture.height
    return canvas


def curves(rows: Sequence[Mapping[str, Any]], out: str | os.PathLike) -> None:
    """Draws every logged metric over the steps: a panel for the losses of each player, for its
    accuracies, and for each evaluation.

    rows: those of a run's ``metrics.jsonl``; None stands for what is not finite.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = sorted({name for row in rows for name in row if "/" in name})
    panels: dict[str, list[str]] = {}
    for name in names:
        group, _, value = name.partition("/")
        kind = " accuracy" if value.startswith("accuracy") else ""
        if not value.startswith("grad_norm"):
            panels.setdefault(f"{group}{kind}", []).append(name)
    if not panels:
        return
    figure, axes = plt.subplots(1, len(panels), figsize=(6 * len(panels), 4), squeeze=False)
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
    plt.close(figure)
    paths.write_bytes(paths.path(out), drawn.getvalue())
