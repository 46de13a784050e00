"""Anti-aliased filled shapes in the unit square: curves, colours and the canvas.

x runs to the right and y down, both from 0 to 1, whatever the size in pixels. Shapes are filled at
four times the size and area-averaged.
"""

import colorsys
import functools

import cv2
import numpy as np

SUPERSAMPLE = 4
_SHIFT = 4  # fractional bits of the coordinates given to OpenCV

Colour = tuple[float, float, float]  # RGB, 0 to 255


@functools.lru_cache(maxsize=64)
def _spline_basis(count: int, samples: int) -> np.ndarray:
    """[count * samples, count]: closed Catmull-Rom curve through `count` points, as weights."""
    basis = np.zeros((count * samples, count))
    for k in range(count):
        for j in range(samples):
            t = j / samples
            weights = (
                (-t + 2 * t**2 - t**3) / 2,
                (2 - 5 * t**2 + 3 * t**3) / 2,
                (t + 4 * t**2 - 3 * t**3) / 2,
                (-(t**2) + t**3) / 2,
            )
            for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
                basis[k * samples + j, (k + offset) % count] += weight
    return basis


def smooth(points: np.ndarray, samples: int = 6) -> np.ndarray:
    """A closed smooth curve through the points: [K, 2] -> [K * samples, 2].

    Point k lies at row k * samples.
    """
    return _spline_basis(len(points), samples) @ points


def arc(start: np.ndarray, control: np.ndarray, end: np.ndarray, samples: int = 10) -> np.ndarray:
    """A quadratic Bezier curve without its end points, [samples, 2]."""
    t = (np.arange(samples)[:, None] + 1) / (samples + 1)
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def ellipse(centre: np.ndarray, radii: tuple[float, float], samples: int = 24) -> np.ndarray:
    """An axis-parallel ellipse, [samples, 2]."""
    t = np.linspace(0, 2 * np.pi, samples, endpoint=False)
    return np.asarray(centre) + np.stack([np.cos(t), np.sin(t)], axis=1) * radii


def grow(curve: np.ndarray, width: float) -> np.ndarray:
    """The closed curve moved outward by `width` along its normals."""
    ring = np.concatenate([curve[-1:], curve, curve[:1]])
    tangent = ring[2:] - ring[:-2]
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    normal /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
    # Twice the signed area, which tells the curve's direction.
    area = curve[:, 0] @ ring[2:, 1] - curve[:, 1] @ ring[2:, 0]
    return curve + normal * (width if area > 0 else -width)


def shade(colour: Colour, amount: float) -> Colour:
    """Towards black for a negative amount, towards white for a positive one (-1 to 1)."""
    goal = 255.0 if amount > 0 else 0.0
    return tuple(c + (goal - c) * abs(amount) for c in colour)


def contrast(colour: Colour, amount: float) -> Colour:
    """A visibly different tone of the colour: darker, or lighter where it is nearly black."""
    return shade(colour, amount * 0.6 if sum(colour) < 180 else -amount)


def vary(colour: Colour, hue: float, saturation: float, value: float) -> Colour:
    """The colour with hue turned (in turns) and saturation and value multiplied."""
    h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
    rgb = colorsys.hsv_to_rgb((h + hue) % 1, min(s * saturation, 1), min(v * value, 1))
    return tuple(255 * c for c in rgb)


class Canvas:
    """A transparent layer on which shapes are filled one over the other."""

    def __init__(self, size: int):
        self.size = size
        self.side = size * SUPERSAMPLE
        self.pixels = np.zeros((self.side, self.side, 4), np.uint8)

    def fill(self, curve: np.ndarray, colour: Colour) -> None:
        """Fill the closed curve, [K, 2] in the unit square."""
        # OpenCV also paints the pixels under the curve itself: half a pixel too much all round,
        # which would make birds plumper the smaller the picture.
        pixels = grow(curve * self.side, -0.5) - 0.5
        points = np.rint(pixels * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(self.pixels, [points], (*colour, 255), cv2.LINE_8, _SHIFT)

    def reduce(self) -> tuple[np.ndarray, np.ndarray]:
        """At the final size: colours times opacity [S, S, 3] (0 to 255), opacity [S, S, 1]."""
        small = cv2.resize(self.pixels, (self.size, self.size), interpolation=cv2.INTER_AREA)
        small = small.astype(np.float32)
        return small[..., :3], small[..., 3:] / 255
