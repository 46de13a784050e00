"""Which bytes are stored of an image: the original ones where possible, else re-encoded RGB.

Every image is decoded once here, so that a broken file is found while preparing and not by a
training. EXIF rotation is ignored, as the papers' code does.
"""

import io
import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from t2i_jax.data.transforms import box_region

Box = tuple[float, float, float, float]  # x, y, width, height in pixels

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
QUALITY = 95


class BadImage(ValueError):
    """The bytes can't be stored as an image; the message is a short reason to count by."""


class StoredImage(NamedTuple):
    """data: JPEG or PNG bytes. width, height: pixels of the stored image.

    scale: stored size over original size, (horizontal, vertical).
    repaired: short reasons why the bytes are not the original ones (resizing is none).
    kept: remarks on an unusual image that is stored as it is.
    """

    data: bytes
    width: int
    height: int
    scale: tuple[float, float] = (1.0, 1.0)
    repaired: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def decode(data: bytes) -> Image.Image:
    """The image in a file, every pixel read.

    Raises:
      BadImage: empty, not an image, cut short, or damaged.
    """
    if not data:
        raise BadImage("empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise BadImage("too many pixels") from None
    except Exception:  # what Pillow raises on broken headers has no common base
        raise BadImage("not an image") from None
    try:
        image.load()
    except Exception:
        raise BadImage("cut short or damaged") from None
    if image.mode == "F":
        raise BadImage("floating-point pixels")
    return image


def store(
    data: bytes, image: Image.Image, *, max_side: int | None = None, box: Box | None = None
) -> StoredImage:
    """What is stored of an image file.

    RGB and grayscale JPEG and PNG files keep their bytes. CMYK, palette, transparent and 16-bit
    images and other formats become 8-bit RGB, in PNG if they came in PNG, else in JPEG.

    data, image: the file's bytes and what `decode` made of them.
    max_side: also shrink large images, as JPEG of quality 95; see `shrunk_size`.
    box: the object's box in pixels of the given image, if it has one.
    """
    repaired: list[str] = []
    kept: list[str] = []
    rgb = image
    if image.mode == "L" and "transparency" not in image.info:
        kept.append("grayscale: every reader makes it RGB")
    elif image.mode != "RGB" or "transparency" in image.info:
        repaired.append(f"{_MODES.get(image.mode, 'transparent')} image made RGB")
        rgb = _to_rgb(image)
    if image.format not in ("JPEG", "MPO", "PNG"):
        repaired.append(f"{image.format} file re-encoded")

    size = shrunk_size(image.width, image.height, max_side, box)
    if size != image.size:
        rgb = rgb.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        data = _encode(rgb, "JPEG")
    elif repaired:
        data = _encode(rgb, "PNG" if image.format == "PNG" else "JPEG")
    scale = (size[0] / image.width, size[1] / image.height)
    return StoredImage(data, *size, scale, tuple(repaired), tuple(kept))


def shrunk_size(
    width: int, height: int, max_side: int | None, box: Box | None = None
) -> tuple[int, int]:
    """Size at which ``--max_side`` stores an image: (width, height), aspect ratio kept.

    An image shrinks until the shorter side of what the papers cut out of it is `max_side`: of the
    papers' crop around the box where there is a box, else of the whole image. A system that loads
    short sides of up to `max_side` pixels (304 for 256-pixel training) so never has to enlarge
    what was stored, with box crop or without. Smaller images stay as they are.
    """
    if max_side is None:
        return width, height
    short = min(width, height)
    if box is not None:
        left, top, right, bottom = box_region(box, width, height)
        short = max(1, min(right - left, bottom - top, short))
    if short <= max_side:
        return width, height
    # Rounded up, so that a crop of the stored image is not a pixel short.
    factor = max_side / short
    return math.ceil(width * factor - 1e-6), math.ceil(height * factor - 1e-6)


_MODES = {
    "CMYK": "CMYK",
    "P": "palette",
    "PA": "palette",
    "1": "black-and-white",
    "RGBA": "transparent",
    "LA": "transparent",
    "I": "16-bit",
    "I;16": "16-bit",
    "I;16B": "16-bit",
}


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow's own conversion clips at 255
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)).convert(
            "RGB"
        )
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _encode(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "PNG":
        image.save(out, "PNG")
    else:
        image.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
