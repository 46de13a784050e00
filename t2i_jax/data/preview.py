"""A picture of a prepared set: images as a training sees them, with their captions."""

import cv2
import numpy as np
from PIL import Image, ImageDraw

from t2i_jax import fonts, paths, pictures
from t2i_jax.data.decode import decode_rgb
from t2i_jax.data.prepared import PreparedSplit
from t2i_jax.data.transforms import box_region, short_side_size, window

SIDE = 224  # pixels of a cell's image
MARGIN = 10
FONT_SIZE = 13
CAPTION_LINES = 6
BOX_COLOUR = (255, 40, 40)


def draw(splits: list[PreparedSplit], path: str, *, rows: int = 4, columns: int = 6) -> None:
    """Writes a PNG grid of up to `rows` x `columns` records, spread evenly over the splits.

    Every image is decoded, shown with its box if it has one, cropped as the papers do (around the
    box, else to the centre square) and captioned with its class and first captions.
    """
    line = FONT_SIZE + 4
    width, height = SIDE + 2 * MARGIN, SIDE + 2 * MARGIN + line * (CAPTION_LINES + 2)
    chosen = _spread(splits, rows * columns)
    sheet = Image.new("RGB", (columns * width, -(-len(chosen) // columns) * height), "white")
    for i, (split, index) in enumerate(chosen):
        record = split[index]
        corner = (i % columns * width + MARGIN, i // columns * height + MARGIN)
        sheet.paste(Image.fromarray(cropped(record)), corner)
        canvas = ImageDraw.Draw(sheet)
        for j, (words, colour) in enumerate(_lines(split, record)):
            place = corner[0], corner[1] + SIDE + 2 + j * line
            fonts.draw(canvas, place, words, FONT_SIZE, colour)
    path = paths.path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures.save(sheet, path)


def cropped(record: dict) -> np.ndarray:
    """The record's image as [SIDE, SIDE, 3] uint8, with its box drawn in."""
    image = decode_rgb(record["image"])
    x, y, w, h = (float(v) for v in record["bbox"])
    left, top = 0, 0
    if w > 0:
        left, top, right, bottom = box_region(record["bbox"], image.shape[1], image.shape[0])
        image = image[top:bottom, left:right]
    columns, rows = short_side_size(image.shape[1], image.shape[0], SIDE)
    sx, sy = columns / image.shape[1], rows / image.shape[0]
    middle = (columns - SIDE) // 2, (rows - SIDE) // 2
    image = np.ascontiguousarray(window(image, columns, rows, *middle, SIDE))
    if w > 0:
        corner = round((x - left) * sx) - middle[0], round((y - top) * sy) - middle[1]
        opposite = round((x + w - left) * sx) - middle[0], round((y + h - top) * sy) - middle[1]
        cv2.rectangle(image, corner, opposite, BOX_COLOUR, 2)
    return image


def _spread(splits: list[PreparedSplit], cells: int) -> list[tuple[PreparedSplit, int]]:
    """`cells` records, the same number from each split, evenly over its length."""
    chosen = []
    for i, split in enumerate(splits):
        count = min(len(split), cells // len(splits) + (i < cells % len(splits)))
        chosen.extend((split, j * len(split) // count) for j in range(count))
    return chosen


def _lines(split: PreparedSplit, record: dict) -> list[tuple[str, str]]:
    """(text, colour) of the lines below an image: its split and class, its name, its captions."""
    names, label = split.label_names, record["label"]
    title = split.info["split"] + (f": {names[label]}" if 0 <= label < len(names) else "")
    lines = []
    for i, caption in enumerate(record["captions"]):
        colour = "navy" if i % 2 == 0 else "darkgreen"
        lines.extend((words, colour) for words in fonts.wrapped(caption, FONT_SIZE, SIDE))
    if len(lines) > CAPTION_LINES:
        last, colour = lines[CAPTION_LINES - 1]
        lines[CAPTION_LINES - 1 :] = [(fonts.ended(last, FONT_SIZE, SIDE), colour)]
    name = record["image/filename"].rsplit("/", 1)[-1]
    heads = []
    for text, colour in ((title, "black"), (name, "gray")):
        heads.extend((words, colour) for words in fonts.wrapped(text, FONT_SIZE, SIDE, 1))
    return heads + lines
