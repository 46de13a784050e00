"""Which bytes are stored of an image: the original ones where possible, else re-encoded RGB.

Every image is decoded once here, so that a broken file is found while preparing and not by a
training. Whatever a viewer opens is kept. The orientation tag is followed on request only: the
papers' code ignores it.
"""

import functools
import io
import math
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from t2i_jax.data import file_kinds, orientation
from t2i_jax.data.orientation import Box
from t2i_jax.data.transforms import box_region

# Not among them: what runs programs (EPS), what has no mark of its own to be known by (TGA), and
# what is no picture.
FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "JPEG2000", "AVIF", "QOI"),
    *("PPM", "PCX", "SGI", "ICO", "ICNS", "PSD", "DDS"),
)
QUALITY = 95
_MOST_JPEG = 65500  # pixels a side

# Pillow warns of more than 89 million pixels, and refuses twice that.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


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


class Picture(NamedTuple):
    """A decoded image file.

    image: the pixels, turned where `turned` says so.
    data: the bytes that `image` was read from.
    format: Pillow's name of the file's format.
    orientation: the file's orientation tag, 1 to 8; 1 for none.
    remarks: short reasons why `data` are not the file's own bytes.
    """

    image: Image.Image
    data: bytes
    format: str
    orientation: int = 1
    turned: bool = False
    remarks: tuple[str, ...] = ()


def decode(data: bytes, turn: bool = False) -> Picture:
    """The image in a file, every pixel read.

    turn: turn it as its orientation tag says. (Pillow does so with TIFF files in any case.)

    Raises:
      BadImage: it is none, or cut short, or damaged; the reason says what it is.
    """
    try:
        return _decode(data, turn)
    except BadImage:
        shorter = file_kinds.without_texts(data)
        if shorter == data:
            raise
    return _decode(shorter, turn)._replace(remarks=("texts in a PNG file left out",))


@functools.cache
def _formats() -> list[str]:
    """Those of `FORMATS` that this Pillow has."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _decode(data: bytes, turn: bool) -> Picture:
    try:
        image = Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError:
        raise BadImage(f"too large: over {2 * Image.MAX_IMAGE_PIXELS:,} pixels") from None
    except Exception:  # what Pillow raises on broken headers has no common base
        raise BadImage(file_kinds.reason(data)) from None
    tag, form = orientation.tag(image), image.format
    try:
        image.load()
    except MemoryError:
        raise BadImage("too large for this machine's memory") from None
    except Exception:
        raise BadImage("cut short or damaged") from None
    if turn and form != "TIFF":
        image = orientation.turned(image, tag)
    return Picture(image, data, form, tag, tag != 1 and (turn or form == "TIFF"))


def store(picture: Picture, *, max_side: int | None = None, box: Box | None = None) -> StoredImage:
    """What is stored of an image file.

    RGB and grayscale JPEG and PNG files keep their bytes. CMYK, palette, transparent, 16-bit and
    floating-point images and other formats become 8-bit RGB, in PNG if they came in PNG, else in
    JPEG.

    max_side: also shrink large images, as JPEG of quality 95; see `shrunk_size`.
    box: the object's box in pixels of the picture, if it has one.

    Raises:
      BadImage: its pixels mean no colours.
    """
    image, data = picture.image, picture.data
    changed: list[str] = []  # why the pixels are encoded anew
    kept: list[str] = []
    rgb = image
    if image.mode == "L" and "transparency" not in image.info:
        kept.append("grayscale: every reader makes it RGB")
    elif image.mode != "RGB" or "transparency" in image.info:
        changed.append(f"{_MODES.get(image.mode, 'transparent')} image made RGB")
        try:
            rgb = _to_rgb(image)
        except Exception:  # of Pillow, for pairs of modes that it cannot convert
            raise BadImage(f"pixels of the kind {image.mode} cannot be made RGB") from None
    if picture.format not in ("JPEG", "MPO", "PNG"):
        changed.append(f"{picture.format} file re-encoded")
    if picture.turned:
        changed.append("turned by its orientation tag")
    elif picture.orientation != 1:
        kept.append("orientation tag ignored, as the papers' loaders do")

    size = shrunk_size(image.width, image.height, max_side, box)
    if size != image.size:
        rgb = rgb.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        data = _encode(rgb, "JPEG")
    elif changed:
        data = _encode(rgb, "PNG" if picture.format == "PNG" else "JPEG")
    scale = (size[0] / image.width, size[1] / image.height)
    return StoredImage(data, *size, scale, (*picture.remarks, *changed), tuple(kept))


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
    "I;16L": "16-bit",
    "F": "floating-point",
    "LAB": "LAB",
    "YCbCr": "YCbCr",
    "RGBX": "RGBX",
}


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):  # Pillow's own conversion clips at 255
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.mode == "LAB":
        profiles = (ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
        return ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Gray values as uint8 [H, W]: 16 bits by their high byte; floating-point values of up to 1 as
    shares of white, others of up to 255 as they are; all larger ones as shares of the largest.
    """
    values = np.nan_to_num(np.asarray(image, np.float64), posinf=0.0, neginf=0.0)
    largest = values.max(initial=0.0)
    if image.mode != "F" and largest < 2**16:
        values = values // 256
    elif largest > 255:
        values = values * (255 / largest)
    elif largest <= 1:
        values = values * 255
    return np.clip(values, 0, 255).astype(np.uint8)


def _encode(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "PNG" or max(image.size) > _MOST_JPEG:
        image.save(out, "PNG")
    else:
        image.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
