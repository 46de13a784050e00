"""What is around a toy bird: the background and what the bird stands on."""

from typing import NamedTuple

import cv2
import numpy as np

from t2i_jax.data.toy_birds.shapes import Canvas, Colour, shade, smooth


class _Backdrop(NamedTuple):
    gradient: tuple[Colour, ...]  # from the top of the picture to its bottom
    patch: Colour  # colour of the soft patches in it
    strength: float  # how opaque they are, 0 to 1
    cells: tuple[int, int]  # how many rows and columns of them


_BACKDROPS = {
    "sky": _Backdrop(
        ((118, 186, 240), (168, 214, 246), (214, 236, 250)), (255, 255, 255), 0.75, (8, 4)
    ),
    "leaves": _Backdrop(
        ((64, 104, 58), (92, 136, 74), (70, 112, 60)), (158, 190, 104), 0.6, (9, 9)
    ),
    "dusk": _Backdrop(
        ((92, 72, 128), (214, 122, 118), (250, 190, 128)), (255, 214, 170), 0.4, (9, 3)
    ),
    "snow": _Backdrop(
        ((196, 208, 222), (222, 230, 238), (240, 244, 248)), (255, 255, 255), 0.8, (11, 11)
    ),
}

_LEAF = np.array([
    (0, 0), (0.03, 0.01), (0.075, 0.06), (0.085, 0.09), (0.05, 0.08), (0.01, 0.04),
])  # fmt: skip


def background(name: str, generator: np.random.Generator, size: int) -> np.ndarray:
    """A soft gradient with out-of-focus patches: float32 [size, size, 3], 0 to 255."""
    backdrop = _BACKDROPS[name]
    column = np.array(backdrop.gradient)[:, None] + (generator.random(3) - 0.5) * 16
    noise = generator.random(backdrop.cells)
    # OpenCV interpolates at pixel centres, so a few values make the same picture at any size.
    base = cv2.resize(column.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    noise = cv2.resize(noise.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    cover = backdrop.strength * np.clip((noise - 0.5) * 2, 0, 1)[..., None]
    return base + (np.array(backdrop.patch, np.float32) - base) * cover


def draw_perch(
    layer: Canvas, name: str, x: float, y: float, generator: np.random.Generator
) -> None:
    """Draw what the bird stands on, with its feet at (x, y)."""
    _PERCHES[name](layer, x, y, generator)


def _strip(xs: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The closed curve around what lies between two lines over the same xs."""
    return np.concatenate([np.stack([xs, upper], 1), np.stack([xs, lower], 1)[::-1]])


def _branch(layer: Canvas, x: float, y: float, generator: np.random.Generator) -> None:
    colour = (112, 80, 56)
    bend, slope = (generator.random(2) - 0.5) * (0.12, 0.1)
    xs = np.linspace(-0.05, 1.05, 16)
    top = y + slope * (xs - x) + bend * (xs - x) ** 2
    thickness = 0.052 - 0.01 * xs
    layer.fill(_strip(xs, top - 0.008, top + thickness + 0.008), shade(colour, -0.45))
    layer.fill(_strip(xs, top, top + thickness), colour)
    layer.fill(_strip(xs, top + 0.004, top + 0.35 * thickness), shade(colour, 0.22))
    for third, (at, side) in enumerate(generator.random((3, 2))):
        at = (third + 0.15 + 0.7 * at) / 3
        stem = np.array([at, np.interp(at, xs, top) + 0.02])
        layer.fill(stem + smooth(_LEAF) * (1 if side > 0.5 else -1, 1), (86, 132, 66))


def _rock(layer: Canvas, x: float, y: float, generator: np.random.Generator) -> None:
    colour = (128, 124, 122)
    bumps = generator.random(5) * 0.03
    outline = np.array([
        (-0.42, 0.5), (-0.4, 0.14 + bumps[0]), (-0.24, 0.03 + bumps[1]), (-0.1, 0.0), (0.1, 0.0),
        (0.24, 0.025 + bumps[2]), (0.38, 0.12 + bumps[3]), (0.45, 0.5),
    ])  # fmt: skip
    facet = np.array([
        (-0.2, 0.045), (-0.08, 0.02), (0.08, 0.018), (0.17, 0.035), (0.0, 0.07 + bumps[4]),
    ])  # fmt: skip
    layer.fill(smooth(outline * (1.03, 1) - (0, 0.009)) + (x, y), shade(colour, -0.45))
    layer.fill(smooth(outline) + (x, y), colour)
    layer.fill(smooth(facet) + (x, y), shade(colour, 0.25))


def _post(layer: Canvas, x: float, y: float, generator: np.random.Generator) -> None:
    colour = (150, 116, 80)
    half = 0.1 + 0.03 * generator.random()

    def box(left: float, right: float, top: float, bottom: float = 1.0) -> np.ndarray:
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) + (x, y)

    layer.fill(box(-half - 0.009, half + 0.009, 0.0), shade(colour, -0.5))
    layer.fill(box(-half, half, 0.009), colour)
    layer.fill(box(-half, half, 0.009, 0.04), shade(colour, 0.3))
    for at in generator.random(3):
        left = (at * 1.6 - 0.8) * half
        layer.fill(box(left, left + 0.01, 0.06), shade(colour, -0.25))


def _grass(layer: Canvas, x: float, y: float, generator: np.random.Generator) -> None:
    colour = (104, 148, 62)
    xs = np.linspace(-0.05, 1.05, 12)
    hill = y + 0.005 + (generator.random() * 0.1) * (xs - x) ** 2
    layer.fill(_strip(xs, hill, np.full_like(hill, 1.1)), colour)
    blades = generator.random((16, 3))
    for k, (at, height, lean) in enumerate(blades):
        at = (k + at) / len(blades)
        foot = np.interp(at, xs, hill) + 0.06
        tip = (at + (lean - 0.5) * 0.06, foot - 0.07 - 0.05 * height)
        tone = shade(colour, (-0.25, 0.0, 0.2)[k % 3])
        layer.fill(np.array([(at - 0.018, foot), tip, (at + 0.018, foot)]), tone)


_PERCHES = {"branch": _branch, "rock": _rock, "post": _post, "grass": _grass}
