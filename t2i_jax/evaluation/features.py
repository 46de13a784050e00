"""Image features: vectors whose Euclidean distances say how much images differ.

``pixels16`` needs no weights: the image averaged over areas to 16 x 16 colours in [0, 1], so 768
numbers. It sees layout and colour and nothing finer: enough to tell copies from variety, too little
to judge quality. Any trained image network of the library does better: the run directory of a
char-CNN-RNN (its image network) or of a style encoder.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import flax.linen as nn
import jax
import numpy as np

from t2i_jax.data import transforms
from t2i_jax.drawing import drawer
from t2i_jax.evaluation.subject import latest_step
from t2i_jax.recipes.base import EncoderRecipe
from t2i_jax.training import build, runs
from t2i_jax.training.step import to_float

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
    """The features of that name, or those of the run's image network at its latest checkpoint.

    Raises ValueError where `source` is neither, or a run without an image network, and
    FileNotFoundError where it has no checkpoint.
    """
    if source == PIXELS:
        text = f"{_SIDE} x {_SIDE} area-averaged colours in [0, 1]"
        return Features(PIXELS, text, pixels)
    if not runs.is_run(source):
        raise ValueError(
            f"features={os.fspath(source)!r} is neither {PIXELS!r} nor the run directory of an "
            "encoder with an image network"
        )
    return _of_run(source, batch_size)


def pixels(images: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, 3] -> [N, 768] float32 in [0, 1]: each number the mean of a sixteenth of the
    height by a sixteenth of the width. Images below 16 pixels are enlarged.
    """
    small = [
        cv2.resize(image.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        for image in images
    ]
    return np.stack(small).reshape(len(images), -1) / np.float32(255)


def _of_run(workdir: str | os.PathLike, batch_size: int) -> Features:
    step = latest_step(workdir)
    config, ema = runs.load_ema(workdir, step)
    recipe = build.make_recipe(config, dict.fromkeys(config.frozen))
    found = _image_network(recipe, ema) if isinstance(recipe, EncoderRecipe) else None
    if found is None:
        raise ValueError(
            f"features={os.fspath(workdir)!r} is a run of {config.system!r}, which trained no "
            "image network: one of an encoder trained on images is needed"
        )
    module, variables = found
    side = getattr(module, "image_size", config.data.size)  # where a network reads one size only
    apply = jax.jit(lambda v, x: module.apply(v, to_float(x), train=False).astype(np.float32))

    def extract(images: np.ndarray) -> np.ndarray:
        seen = np.stack([transforms.resize(image, side, side) for image in images])
        return drawer.in_batches(lambda part: apply(variables, part), seen, batch_size)

    text = f"the image network of {os.fspath(workdir)}, step {step}, at {side} px"
    return Features(config.system, text, extract)


def _image_network(recipe: Any, ema: Mapping[str, Any]) -> tuple[nn.Module, dict] | None:
    """(module, variables) of the network that reads images: a part ``image`` of the player, or the
    player itself.
    """
    variables = {"params": ema["params"]["net"], **ema["stats"].get("net", {})}
    if hasattr(recipe, "net"):
        return recipe.net, variables
    if "image" not in variables["params"]:  # trained on captions alone, or on stored features
        return None
    return recipe.image, {kind: tree["image"] for kind, tree in variables.items()}
