"""How images reach CLIP, as a folder of Hugging Face's tells it in ``preprocessor_config.json``."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from t2i_jax import paths
from t2i_jax.data.transforms import short_side_size
from t2i_jax.interop.hugging_face import read_json


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """The short side is resized to `short_side` pixels by Pillow's bicubic filter and rounded to 8
    bits, the middle of `crop` x `crop` pixels cut out; values are scaled to 0..1, less `mean`, over
    `std` (of red, green, blue).
    """

    short_side: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __str__(self) -> str:
        mean, std = (", ".join(f"{x:g}" for x in numbers) for numbers in (self.mean, self.std))
        return (
            f"short side to {self.short_side} px by Pillow's bicubic filter, 8 bits, middle "
            f"{self.crop} px; 0..1, less ({mean}), over ({std})"
        )

    def cut(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3] -> uint8 [N, crop, crop, 3]."""
        found = np.empty((len(images), self.crop, self.crop, 3), np.uint8)
        for image, place in zip(images, found, strict=True):
            size = short_side_size(image.shape[1], image.shape[0], self.short_side)
            resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
            left, top = ((side - self.crop) // 2 for side in size)
            place[:] = np.asarray(resized)[top : top + self.crop, left : left + self.crop]
        return found

    def scaled(self, images: jax.Array) -> jax.Array:
        """uint8 -> float32, as the network reads it."""
        values = images.astype(jnp.float32) / 255
        return (values - jnp.asarray(self.mean)) / jnp.asarray(self.std)


def read(path: paths.Path, image_size: int) -> Preprocessing:
    """That of a ``preprocessor_config.json``, for a network that sees `image_size` pixels.

    Raises ValueError, with file and field, for anything that is not done here.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: it tells how images are resized and scaled")
    told = read_json(path)
    for step in ("do_resize", "do_center_crop", "do_rescale", "do_normalize"):
        if told.get(step, True) is not True:
            raise ValueError(f"{path}: {step}={told[step]!r}, but it must be true")
    if told.get("resample", 3) != 3:
        raise ValueError(f"{path}: resample={told['resample']!r}, but only 3 (bicubic) is done")
    if abs(told.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        raise ValueError(f"{path}: rescale_factor={told['rescale_factor']!r}, but it must be 1/255")
    short_side = _side(path, told, "size", ("shortest_edge",))
    crop = _side(path, told, "crop_size", ("height", "width"))
    if not image_size == crop <= short_side:
        raise ValueError(
            f"{path}: of images with a short side of {short_side} pixels {crop} are cut out, but "
            f"the network of config.json sees {image_size}"
        )
    return Preprocessing(short_side, crop, *(_colours(path, told, k) for k in ("mean", "std")))


def _side(path: paths.Path, told: Mapping[str, Any], name: str, keys: tuple[str, ...]) -> int:
    """A size, as a number (older files) or by names."""
    found = told.get(name)
    sides = [found.get(key) for key in keys] if isinstance(found, dict) else [found]
    good = all(isinstance(side, int) and side > 0 for side in sides)
    extra = set(found) - set(keys) if isinstance(found, dict) else ()
    if not good or extra or len(set(sides)) != 1:
        raise ValueError(f"{path}: {name}={found!r}, but it must be a side in pixels ({keys[0]})")
    return sides[0]


def _colours(path: paths.Path, told: Mapping[str, Any], name: str) -> tuple[float, ...]:
    found = told.get(f"image_{name}")
    numbers = isinstance(found, list) and all(isinstance(x, int | float) for x in found)
    if not numbers or len(found) != 3 or (name == "std" and min(found) <= 0):
        raise ValueError(f"{path}: image_{name}={found!r}, but it must be three numbers")
    return tuple(float(x) for x in found)
