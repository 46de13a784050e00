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
from t2i_jax.training import networks, runs
from t2i_jax.training.inputs import to_float

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

    source: `PIXELS`; a run whose recipe has a part "image"; or RUN:part.

    Raises ValueError where `source` is none of these, or the part does not read images, and
    FileNotFoundError where the run has no checkpoint.
    """
    source = os.fspath(source)
    if source == PIXELS:
        text = f"{_SIDE} x {_SIDE} area-averaged colours in [0, 1]"
        return Features(PIXELS, text, pixels)
    try:
        network = networks.resolve("features", source, "image")
    except FileNotFoundError as error:
        if networks.exists(source):
            raise
        raise ValueError(
            f"features={source!r} is neither {PIXELS!r} nor the run directory of an encoder with "
            "an image network"
        ) from error
    return _of_network(source, network, batch_size)


def pixels(images: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, 3] -> [N, 768] float32 in [0, 1]: each number the mean of a sixteenth of the
    height by a sixteenth of the width. Images below 16 pixels are enlarged.
    """
    small = [
        cv2.resize(image.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        for image in images
    ]
    return np.stack(small).reshape(len(images), -1) / np.float32(255)


def _of_network(source: str, network: networks.Network, batch_size: int) -> Features:
    module = network.module
    # Networks that read one size only say which; others are given what they were trained on.
    side = getattr(module, "image_size", None) or _trained_side(source)
    apply = jax.jit(lambda v, x: module.apply(v, to_float(x), train=False).astype(np.float32))

    def extract(images: np.ndarray) -> np.ndarray:
        seen = np.stack([transforms.resize(image, side, side) for image in images])
        return drawer.in_batches(lambda part: apply(network.variables, part), seen, batch_size)

    title = f"the network {type(module).__name__} of {source} at {side} px"
    return Features(source, title, extract)


def _trained_side(source: str) -> int:
    run = source if runs.is_run(source) else source.rpartition(":")[0]
    return runs.read_config(run).data.size
