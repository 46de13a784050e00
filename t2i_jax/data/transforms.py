"""Image transforms of the papers, NumPy and OpenCV, uint8 RGB in and out.

An image goes: decode (at reduced size where that is enough) -> box crop (CUB) -> resize to the load
size -> crop -> flip. The load size is ``int(size * load_ratio)``, 76/64 in all papers but XMC-GAN.
"""

import dataclasses
import functools
import math

import cv2
import numpy as np

from t2i_jax.data import decode

RESIZES = ("square", "short_side", "torch7")
CROPS = ("random", "center", "none")

_OBLONG = 8  # times as long as wide: what is longer is cut before it is resized
_MARGIN = 2  # pixels beside a cut that resizing looks at


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageTransform:
    """Encoded bytes to a training image [size, size, 3].

    size: side of the result in pixels.
    load_ratio: the image is resized to ``int(size * load_ratio)`` before the crop.
    resize: "square" (aspect ignored: GAN-CLS, StackGAN, XMC-GAN), "short_side" (aspect kept, the
      short side at the load size: AttnGAN, DM-GAN, DF-GAN), "torch7" (square by Torch's own rule,
      see `torch7_scale`).
    crop: "random", "center", or "none" (resized straight to `size`; square only).
    flip: mirror with probability 1/2.
    box_crop: first crop to the record's box (see `box_region`), where it has one.
    reduced: decode JPEGs at 1/2, 1/4 or 1/8 size where that leaves at least the load size. A box is
      then rounded to reduced pixels, which are at most pixels of the load size.
    """

    size: int
    load_ratio: float = 76 / 64
    resize: str = "square"
    crop: str = "random"
    flip: bool = True
    box_crop: bool = False
    reduced: bool = True

    @property
    def load_size(self) -> int:
        return self.size if self.crop == "none" else int(self.size * self.load_ratio)

    def __call__(
        self, data: bytes, bbox, rng: np.random.Generator, out: np.ndarray | None = None
    ) -> np.ndarray:
        """uint8 [size, size, 3]. Raises ValueError for bytes that are not an image.

        out: where the image is written, C-contiguous; new memory where none is given.
        """
        if out is None:
            out = np.empty((self.size, self.size, 3), np.uint8)
        image, width, height = self.decode(data, bbox)
        width, height = self.loaded_size(width, height)
        top, left = height - self.size, width - self.size
        if self.crop == "random":
            top, left = int(rng.integers(top + 1)), int(rng.integers(left + 1))
        else:
            top, left = top // 2, left // 2
        if self.resize == "torch7":  # always a square
            image = torch7_scale(image, width, height)
            image = image[top : top + self.size, left : left + self.size]
        else:
            image = window(image, width, height, left, top, self.size)
        if self.flip and rng.integers(2):
            return cv2.flip(image, 1, out)
        np.copyto(out, image)
        return out

    def loaded_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) at the load size of an image, or box crop, that is stored so large."""
        side = self.load_size
        return short_side_size(width, height, side) if self.resize == "short_side" else (side, side)

    def decode(self, data: bytes, bbox=None) -> tuple[np.ndarray, int, int]:
        """The decoded box crop (or whole image), at its stored size or 1/2, 1/4, 1/8 of it, and
        its stored width and height.
        """
        width, height = decode.image_size(data)
        x0, y0, x1, y1 = 0, 0, width, height
        if self.box_crop and bbox is not None and bbox[2] > 0 and bbox[3] > 0:
            x0, y0, x1, y1 = box_region(bbox, width, height)
        w, h, factor = x1 - x0, y1 - y0, 1
        if self.reduced and self.resize != "torch7":  # that rule's point is to be exact
            factor = decode.reduction(w, h, self.load_size, self.load_size)
        image = decode.decode_rgb(data, factor)
        if (w, h) == (width, height):
            return image, w, h
        if factor > 1:  # a reduced image has ceil(size / factor) pixels; other formats are whole
            rows, columns = image.shape[:2]
            # Whole numbers: a float product just above `columns` would round to one pixel more.
            w_small, h_small = -(-w * columns // width), -(-h * rows // height)
            x0 = min(round(x0 * columns / width), columns - w_small)
            y0 = min(round(y0 * rows / height), rows - h_small)
            x1, y1 = x0 + w_small, y0 + h_small
        return image[y0:y1, x0:x1], w, h


def box_region(bbox, width: int, height: int) -> tuple[int, int, int, int]:
    """The crop (x0, y0, x1, y1) around a box (x, y, w, h), all in pixels.

    StackGAN's rule, kept by all that followed: the box's longer side fills two thirds of a square
    around the box's centre; the square is clipped at the image's border. Integers are truncated
    where the public code truncates them. A box that leaves nothing inside the image gives the whole
    image.
    """
    x, y, w, h = (int(value) for value in bbox)
    radius = int(max(w, h) * 0.75)
    cx, cy = int((2 * x + w) / 2), int((2 * y + h) / 2)
    x0, y0 = max(0, cx - radius), max(0, cy - radius)
    x1, y1 = min(width, cx + radius), min(height, cy + radius)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else (0, 0, width, height)


def short_side_size(width: int, height: int, side: int) -> tuple[int, int]:
    """(width, height) with the short side at `side`, the other in proportion, truncated."""
    if width <= height:
        return side, int(side * height / width)
    return int(side * width / height), side


def window(
    image: np.ndarray, width: int, height: int, left: int, top: int, size: int
) -> np.ndarray:
    """The `size` x `size` pixels at (left, top) of the image resized to `width` x `height`.

    What lies below them and to their right is not resized. Of a long oblong only what lies near
    them is: with a short side of 304 pixels, a strip of 3000 x 1 would fill 0.8 GB.
    """
    rows, columns = image.shape[:2]
    if width > _OBLONG * height:
        begin, end, width, left = _span(columns, width, left, size)
        image = image[:, begin:end]
    elif height > _OBLONG * width:
        begin, end, height, top = _span(rows, height, top, size)
        image = image[begin:end]
    image = resize(image, width, height, (left + size, top + size))
    return image[top : top + size, left : left + size]


def _span(pixels: int, length: int, start: int, size: int) -> tuple[int, int, int, int]:
    """What of an axis of `pixels`, to be resized to `length`, decides about the `size` places from
    `start` on: (its begin, its end, the length to resize it to, where `start` is then).
    """
    scale = length / pixels
    begin = max(0, math.floor(start / scale) - _MARGIN)
    end = min(pixels, math.ceil((start + size) / scale) + _MARGIN)
    first = round(begin * scale)
    return begin, end, round(end * scale) - first, start - first


def resize(
    image: np.ndarray, width: int, height: int, wanted: tuple[int, int] | None = None
) -> np.ndarray:
    """Resized to `width` x `height`, without visible aliasing.

    wanted: (columns, rows) of the result, counted from its corner, that are looked at; the others
      need not be there. None: all.

    Bilinear while every source pixel still counts, that is down to half the size: there it comes
    nearer to a Lanczos reduction than Pillow's antialiased bilinear does (41 to 43 dB against 38 to
    41 on photographs), four times quicker than averaging areas. Below, OpenCV's area averaging,
    where a source pixel weighs by its overlap.
    """
    rows, columns = image.shape[:2]
    if (columns, rows) == (width, height):
        return image
    if columns > 2 * width or rows > 2 * height:
        # OpenCV averages areas along neither axis where one of them grows: that one comes after.
        shrunk = min(width, columns), min(height, rows)
        image = cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA)
        rows, columns = image.shape[:2]
    fx, fy = width / columns, height / rows
    if wanted is not None:  # the scale stays, so the pixels that are wanted do too
        part = image[: math.ceil(wanted[1] / fy) + _MARGIN, : math.ceil(wanted[0] / fx) + _MARGIN]
        rows, columns = part.shape[:2]
        if (round(rows * fy), round(columns * fx)) != (rows, columns):
            image = part  # where sizes agree OpenCV copies, whatever the scale
    return cv2.resize(image, None, fx=fx, fy=fy, interpolation=cv2.INTER_LINEAR)


def torch7_scale(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Torch7's default ``image.scale`` of uint8 or float32 [H, W, C], in the image's dtype.

    Per axis: exact area averaging when shrinking, linear with aligned corners when enlarging. What
    GAN-CLS's public code uses.
    """
    rows, columns = image.shape[:2]
    if width <= columns and height <= rows:  # OpenCV's area averaging is the same rule
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    x = np.tensordot(_torch7_weights(rows, height), image.astype(np.float32), (1, 0))
    x = np.tensordot(x, _torch7_weights(columns, width), (1, 1)).transpose(0, 2, 1)
    return np.ascontiguousarray(x if image.dtype != np.uint8 else np.rint(x).astype(np.uint8))


@functools.lru_cache(maxsize=256)
def _torch7_weights(source: int, target: int) -> np.ndarray:
    """The resampling of one axis as a matrix [target, source]; its rows sum to 1."""
    pixel = np.arange(source)
    if target < source:
        edges = np.arange(target + 1)[:, None] * (source / target)
        overlap = np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)
        weights = np.maximum(overlap, 0) * (target / source)
    else:
        step = (source - 1) / max(target - 1, 1)
        weights = np.maximum(0, 1 - np.abs(np.arange(target)[:, None] * step - pixel))
    return weights.astype(np.float32)
