"""A picture of a prepared set: images as a training sees them, with their captions."""

import textwrap

import cv2
import numpy as np
from etils import epath
from PIL import Image, ImageDraw, ImageFont

from t2i_jax.data.decode import decode_rgb
from t2i_jax.data.prepared import PreparedSplit
from t2i_jax.data.transforms import box_region, resize, short_side_size

SIDE = 224  # pixels of a cell's image
MARGIN = 10
FONT_SIZE = 13
CAPTION_LINES = 6
BOX_COLOUR = (255, 40, 40)


def draw(splits: list[PreparedSplit], path: str, *, rows: int = 4, columns: int = 6) -> None:
    """Writes a PNG grid of `rows` x `columns` records, spread evenly over the splits.

    Every image is decoded, shown with its box if it has one, cropped as the papers do (around the
    box, else to the centre square) and captioned with its class and first captions.
    """
    font = ImageFont.load_default(size=FONT_SIZE)
    line = FONT_SIZE + 4
    width, height = SIDE + 2 * MARGIN, SIDE + 2 * MARGIN + line * (CAPTION_LINES + 2)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for i, (split, index) in enumerate(_spread(splits, rows * columns)):
        record = split[index]
        corner = (i % columns * width + MARGIN, i // columns * height + MARGIN)
        sheet.paste(Image.fromarray(cropped(record)), corner)
        text = ImageDraw.Draw(sheet)
        for j, (words, colour) in enumerate(_lines(split, record)):
            text.text((corner[0], corner[1] + SIDE + 2 + j * line), words, colour, font)
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        sheet.save(file, "PNG")


def cropped(record: dict) -> np.ndarray:
    """The record's image as [SIDE, SIDE, 3] uint8, with its box drawn in."""
    image = decode_rgb(record["image"])
    x, y, w, h = (float(v) for v in record["bbox"])
    if w > 0:
        thick = max(1, round(min(image.shape[:2]) / SIDE * 2))
        a, b = (round(x), round(y)), (round(x + w), round(y + h))
        image = cv2.rectangle(np.ascontiguousarray(image), a, b, BOX_COLOUR, thick)
        left, top, right, bottom = box_region(record["bbox"], image.shape[1], image.shape[0])
        image = image[top:bottom, left:right]
    image = resize(image, *short_side_size(image.shape[1], image.shape[0], SIDE))
    top, left = (image.shape[0] - SIDE) // 2, (image.shape[1] - SIDE) // 2
    return image[top : top + SIDE, left : left + SIDE]


def _spread(splits: list[PreparedSplit], cells: int) -> list[tuple[PreparedSplit, int]]:
    """`cells` records, the same number from each split, evenly over its length."""
    chosen = []
    for i, split in enumerate(splits):
        count = min(len(split), cells // len(splits) + (i < cells % len(splits)))
        chosen.extend((split, j * len(split) // count) for j in range(count))
    return chosen


def _lines(split: PreparedSplit, record: dict) -> list[tuple[str, str]]:
    """(text, colour) of the lines below an image: its split and class, its name, its captions."""
    columns = SIDE // (FONT_SIZE // 2) - 2
    names, label = split.label_names, record["label"]
    title = split.info["split"] + (f": {names[label]}" if 0 <= label < len(names) else "")
    lines = [(title[:columns], "black"), (record["image/filename"][-columns:], "gray")]
    for i, caption in enumerate(record["captions"]):
        wrapped = textwrap.wrap(caption, columns)
        lines.extend((words, "navy" if i % 2 == 0 else "darkgreen") for words in wrapped)
    return lines[: CAPTION_LINES + 2]
