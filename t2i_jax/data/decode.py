"""Encoded image bytes to RGB arrays.

OpenCV decodes: it is quicker than Pillow, lets the other threads run, turns gray, palette and CMYK
images into three channels, and can decode a JPEG straight to 1/2, 1/4 or 1/8 of its size (libjpeg
leaves out the high frequencies of each block, an antialiased reduction for a fraction of the
time). Orientation tags are ignored, as in the papers' loaders and as boxes expect.
"""

import io

import cv2
import numpy as np
from PIL import Image

# The pipeline's own threads are one a core; OpenCV's on top of them would only fight.
cv2.setNumThreads(1)

# OpenCV's flags are bits: RGB order, and how far to reduce (the bits of IMREAD_REDUCED_COLOR_*
# without the one that asks for BGR).
_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_MODES = {
    1: _RGB,
    2: _RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: _RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: _RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height from an image's header. Raises ValueError where there is none."""
    size = _jpeg_size(data)
    if size is not None:
        return size
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except Exception as error:  # Pillow's decoders raise many kinds
        raise ValueError(f"not an image ({len(data)} bytes): {error}") from error


def decode_rgb(data: bytes, reduce: int = 1) -> np.ndarray:
    """RGB uint8 [H, W, 3] of any common image format.

    reduce: 1, 2, 4 or 8; a JPEG comes out at ceil(size / reduce), other formats whole.
    Raises ValueError for bytes that are not a readable image.
    """
    if reduce != 1 and not is_jpeg(data):
        reduce = 1
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _MODES[reduce])
    except cv2.error:
        image = None
    if image is None:  # formats that OpenCV lacks
        try:
            with Image.open(io.BytesIO(data)) as picture:
                image = np.asarray(picture.convert("RGB"))
        except Exception as error:
            raise ValueError(f"not a readable image ({len(data)} bytes): {error}") from error
    return image


def is_jpeg(data: bytes) -> bool:
    """Whether the bytes begin as a JPEG file does."""
    return data[:3] == b"\xff\xd8\xff"


def reduction(width: float, height: float, min_width: float, min_height: float) -> int:
    """The largest of 1, 2, 4, 8 by which a region of `width` x `height` pixels may be reduced and
    still have `min_width` x `min_height`.
    """
    for factor in (8, 4, 2):
        if width >= factor * min_width and height >= factor * min_height:
            return factor
    return 1


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from a JPEG's frame header, or None. A tenth of Pillow's time."""
    if not is_jpeg(data):
        return None
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            return (width, height) if width and height else None
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
