"""Image features: vectors whose Euclidean distances say how much images differ.

``pixels16`` needs no weights: the image averaged over areas to 16 x 16 colours in [0, 1], so 768
numbers. It sees layout and colour and nothing finer: enough to tell copies from variety, too little
to judge quality. Any trained image network of the library does better: the run directory of a
char-CNN-RNN (its image network), or RUN:net of a style encoder.
"""

import dataclasses
import os
from collections.abc import Callable

import cv2
import jax
import numpy as np

from t2i_jax.data import transforms
from t2i_jax.drawing import drawer
from t2i_jax.evaluation.subject import latest_step
from t2i_jax.training import networks, runs
from t2i_jax.training.inputs import to_float
from t2i_jax.training.modules import recipe_module

PIXELS = "pixels16"
_SIDE = 16


@dataclasses.dataclass(frozen=True)
class Features:
    """A way from images to vectors.

    name: as results and pictures have it.
    description: what it is, in words.
    extract: uint8 [N, H, W, 3] -> float32 [N, E], for images of any one size.
    """

    name: str
    description: str
    extract: Callable[[np.ndarray], np.ndarray]


def load(source: str | os.PathLike = PIXELS, batch_size: int = 64) -> Features:
    """The features of that name, or those of an image network at its run's latest checkpoint.

    source: `PIXELS`; the run of an encoder (its part "image", or "net" where it has none); or
        RUN:part.

    Raises ValueError where `source` is none of these or the run has no such part, and
    FileNotFoundError where it has no checkpoint.
    """
    source = os.fspath(source)
    if source == PIXELS:
        text = f"{_SIDE} x {_SIDE} area-averaged colours in [0, 1]"
        return Features(PIXELS, text, pixels)
    run = source if runs.is_run(source) else source.rpartition(":")[0]
    if not runs.is_run(run):
        raise ValueError(
            f"features={source!r} is neither {PIXELS!r} nor the run directory of an encoder with "
            "an image network"
        )
    parts = recipe_module(runs.read_config(run).system).Recipe.networks
    usual = "net" if "image" not in parts and "net" in parts else "image"
    return _of_run(run, networks.resolve("features", source, usual), batch_size)


def pixels(images: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, 3] -> [N, 768] float32 in [0, 1]: each number the mean of a sixteenth of the
    height by a sixteenth of the width. Images below 16 pixels are enlarged.
    """
    small = [
        cv2.resize(image.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        for image in images
    ]
    return np.stack(small).reshape(len(images), -1) / np.float32(255)


def _of_run(run: str, network: networks.Network, batch_size: int) -> Features:
    config, module = runs.read_config(run), network.module
    side = getattr(module, "image_size", config.data.size)  # where a network reads one size only
    apply = jax.jit(lambda v, x: module.apply(v, to_float(x), train=False).astype(np.float32))

    def extract(images: np.ndarray) -> np.ndarray:
        seen = np.stack([transforms.resize(image, side, side) for image in images])
        return drawer.in_batches(lambda part: apply(network.variables, part), seen, batch_size)

    text = f"the image network of {run}, step {latest_step(run)}, at {side} px"
    return Features(config.system, text, extract)
