"""The drawing of a toy bird from its attributes, at any size.

The bird is laid out in coordinates of its own, facing right and level, about one unit from tail to
beak; a similarity transform then puts it into the unit square of the picture.
"""

import functools
from collections.abc import Callable

import numpy as np

from t2i_jax.data.toy_birds.attributes import value_names
from t2i_jax.data.toy_birds.scenery import background, draw_perch
from t2i_jax.data.toy_birds.shapes import (
    Canvas,
    Colour,
    arc,
    contrast,
    ellipse,
    grow,
    shade,
    smooth,
    vary,
)

PALETTE: dict[str, Colour] = {
    "red": (214, 38, 40),
    "orange": (244, 130, 28),
    "yellow": (250, 214, 48),
    "green": (62, 160, 66),
    "blue": (40, 100, 214),
    "purple": (138, 66, 178),
    "brown": (124, 78, 44),
    "black": (38, 38, 44),
    "white": (246, 246, 242),
    "grey": (142, 146, 152),
}

_SCALES = {"small": 0.6, "medium": 0.69, "large": 0.76}
_HEADS = {"small": 1.1, "medium": 1.0, "large": 0.93}  # small birds have larger heads
_TILTS = {"upright": -20.0, "leaning": 8.0}  # degrees; negative lifts the breast

_HEAD_CENTRE = np.array([0.2, -0.235])
# From the root of the beak over the head and the back, then along the belly to the chin.
_BODY = np.array([
    (0.345, -0.262), (0.305, -0.352), (0.21, -0.402), (0.105, -0.365), (0.045, -0.255),
    (-0.06, -0.16), (-0.2, -0.05), (-0.315, 0.055), (-0.27, 0.135), (-0.14, 0.215),
    (0.03, 0.242), (0.195, 0.185), (0.3, 0.05), (0.325, -0.09), (0.345, -0.19),
])  # fmt: skip
_HEAD_POINTS = [0, 1, 2, 3, 4, 14]
_CROWN_CONTROL = np.array([0.19, -0.262])
_BREAST_CONTROL = np.array([0.1, 0.03])
_EYE = np.array([0.245, -0.255])
_WING = np.array([
    (0.12, -0.03), (0.06, -0.1), (-0.06, -0.09), (-0.22, 0.0), (-0.43, 0.135),
    (-0.25, 0.125), (-0.06, 0.11), (0.08, 0.06),
])  # fmt: skip
_FEATHERS = np.array([  # each: root, control, tip
    [(0.03, 0.045), (-0.14, 0.085), (-0.33, 0.112)],
    [(0.05, -0.015), (-0.12, 0.03), (-0.33, 0.085)],
    [(0.04, -0.055), (-0.1, -0.02), (-0.29, 0.052)],
])  # fmt: skip
_TAIL = np.array([
    (-0.2, -0.03), (-0.36, 0.06), (-0.52, 0.15), (-0.5, 0.225), (-0.36, 0.185), (-0.2, 0.14),
])  # fmt: skip
_BEAKS = {
    "short": np.array([
        (0.31, -0.28), (0.38, -0.27), (0.46, -0.212), (0.38, -0.19), (0.32, -0.175),
    ]),
    "long": np.array([
        (0.31, -0.27), (0.4, -0.25), (0.49, -0.228), (0.575, -0.196), (0.49, -0.198), (0.4, -0.192),
        (0.32, -0.185),
    ]),
    "hooked": np.array([
        (0.29, -0.3), (0.37, -0.31), (0.44, -0.27), (0.472, -0.2), (0.455, -0.125),
        (0.425, -0.175), (0.38, -0.165), (0.32, -0.16),
    ]),
}  # fmt: skip
_HIPS = np.array([(0.06, 0.2), (-0.04, 0.2)])
_LEG = 0.075
_LEG_COLOUR = (112, 84, 72)


class _Placement:
    """Bird coordinates -> the unit square: tilt, scale, shift."""

    def __init__(self, tilt: float, scale: float):
        turn = np.deg2rad(tilt)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        self.matrix = scale * matrix
        self.scale = scale
        self.shift = np.zeros(2)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return points @ self.matrix.T + self.shift


@functools.lru_cache(maxsize=8)
def _grid(size: int) -> np.ndarray:
    """[size, size, 2]: the pixel centres in the unit square."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    return np.stack(np.meshgrid(centres, centres), axis=-1)


def draw(attributes: dict[str, int], generator: np.random.Generator, size: int) -> np.ndarray:
    """Draw one bird: uint8 [size, size, 3], RGB.

    Args:
        attributes: the integer label of every attribute.
        generator: gives the jitter (position, scale, shape, colours, scenery). What is drawn from
            it doesn't depend on `size`, so the same generator gives the same picture at any size.
        size: side in pixels, at least 8.
    """
    if size < 8:
        raise ValueError(f"size is {size}; a bird needs at least 8 pixels")
    words = value_names(attributes)

    def jitter(width: float) -> float:
        return (2 * generator.random() - 1) * width

    colours = {
        part: vary(PALETTE[words[part]], jitter(0.012), 1 + jitter(0.07), 1 + jitter(0.06))
        for part in ("body", "wing", "breast", "crown", "beak")
    }
    place = _Placement(
        tilt=_TILTS[words["pose"]] + jitter(4),
        scale=_SCALES[words["size"]] * (1 + jitter(0.04)),
    )
    head = _HEADS[words["size"]] * (1 + jitter(0.04))
    nod = np.array([jitter(0.012), jitter(0.012)])
    plump = np.array([1.0, 1 + jitter(0.06)])
    tail_turn = jitter(0.05)

    def on_head(points: np.ndarray) -> np.ndarray:
        return _HEAD_CENTRE + nod + head * (points - _HEAD_CENTRE)

    body = np.where(_BODY > 0, _BODY * plump, _BODY)
    body[_HEAD_POINTS] = on_head(_BODY[_HEAD_POINTS])
    body = smooth(body)
    tail = _TAIL + np.outer((0, 0.5, 1, 1, 0.5, 0), (0, tail_turn))
    beak = on_head(_BEAKS[words["beak_shape"]])

    # The whole of it is centred in the picture, standing on the perch.
    extent = place(np.concatenate([body, tail, beak]))
    low, high = extent.min(axis=0), extent.max(axis=0)
    place.shift = np.array([0.5 + jitter(0.03), 0.47 + jitter(0.025)]) - (low + high) / 2
    ground = place(body)[:, 1].max() + _LEG * place.scale

    scene = background(words["background"], generator, size)
    layer = Canvas(size)
    draw_perch(layer, words["perch"], place(_HIPS)[:, 0].mean(), ground, generator)
    colour, opacity = layer.reduce()
    scene = scene * (1 - opacity) + colour

    layer = Canvas(size)
    _draw_legs(layer, place, ground)
    _draw_bird(layer, place, body, tail, beak, on_head, colours)
    colour, opacity = layer.reduce()
    # Light from above and ahead, falling off towards tail and belly.
    lamp = place(np.array([0.14, -0.2])).astype(np.float32)
    away = (_grid(size) - lamp) / np.float32(0.68 * place.scale)
    light = 1.09 - 0.3 * np.minimum(np.sum(away * away, axis=-1, keepdims=True), 1)
    image = scene * (1 - opacity) + colour * light
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _draw_legs(layer: Canvas, place: _Placement, ground: float) -> None:
    width, toe = 0.014 * place.scale, 0.045 * place.scale
    for x, y in place(_HIPS):
        for left, right, top in ((-width, width, y), (-toe, toe, ground - 1.6 * width)):
            corners = [(left, top), (right, top), (right, ground), (left, ground)]
            layer.fill(np.array(corners) + (x, 0), _LEG_COLOUR)


def _draw_bird(
    layer: Canvas,
    place: _Placement,
    body: np.ndarray,
    tail: np.ndarray,
    beak: np.ndarray,
    on_head: Callable[[np.ndarray], np.ndarray],
    colours: dict[str, Colour],
) -> None:
    """Fill the parts from the back to the front; each has a dark rim.

    `body`, `tail` and `beak` are in bird coordinates, jittered; `on_head` jitters what else sits
    on the head.
    """

    def part(curve: np.ndarray, colour: Colour, rim: float = 0.011) -> None:
        curve = place(curve)
        layer.fill(grow(curve, rim * place.scale), shade(colour, -0.55))
        layer.fill(curve, colour)

    def along(first: float, last: float) -> np.ndarray:
        # The stretch of the body's outline between two of its points.
        samples = len(body) // len(_BODY)
        return body[round(first * samples) : round(last * samples) + 1]

    part(smooth(tail), shade(colours["wing"], -0.06))
    part(smooth(beak), colours["beak"])
    part(body, colours["body"])

    edge = along(9.6, 13.6)
    breast = np.concatenate([edge, arc(edge[-1], _BREAST_CONTROL, edge[0])])
    layer.fill(place(breast), colours["breast"])
    edge = along(0.5, 4)
    crown = np.concatenate([edge, arc(edge[-1], on_head(_CROWN_CONTROL), edge[0])])
    layer.fill(grow(place(crown), 0.014 * place.scale), colours["crown"])

    part(smooth(_WING), colours["wing"])
    for root, control, tip in _FEATHERS:
        upper = arc(root, control, tip)
        stroke = np.concatenate([upper, upper[::-1] + (0, 0.011)])
        layer.fill(place(stroke), contrast(colours["wing"], 0.25))

    eye = place(on_head(_EYE))
    for radius, colour in ((0.056, (252, 250, 240)), (0.044, (22, 18, 24))):
        layer.fill(ellipse(eye, (radius * place.scale, radius * place.scale)), colour)
    glint = np.array([0.014, -0.016]) * place.scale
    layer.fill(ellipse(eye + glint, (0.015 * place.scale,) * 2), (255, 255, 255))
