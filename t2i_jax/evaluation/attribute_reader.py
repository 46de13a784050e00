"""Reading the attributes of images with a trained classifier (``configs/toy_attributes.py``)."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

from t2i_jax.data import transforms
from t2i_jax.drawing.drawer import in_batches
from t2i_jax.encoders.small_image_net import SmallImageNet
from t2i_jax.losses.attributes import split
from t2i_jax.training import networks, runs
from t2i_jax.training.inputs import to_float

Readings = dict[str, np.ndarray]  # the value of each attribute, int [N]

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Reader:
    """name: the run. size: the side in pixels at which it sees images.
    read: uint8 [N, H, W, 3] of any one size -> `Readings`.
    """

    name: str
    size: int
    read: Callable[[np.ndarray], Readings]


def load(workdir: str) -> Reader:
    """The reader of a run of ``configs/toy_attributes.py``.

    Raises FileNotFoundError where `workdir` is no run, ValueError where it trained something else.
    """
    config = runs.read_config(workdir)
    network = networks.resolve("classifier", workdir, "net", SmallImageNet)
    names, classes = tuple(config.data.attributes), tuple(config.recipe.classes)
    size = config.data.size

    def values(variables, images):
        logits = network.module.apply(variables, to_float(images), train=False)
        return [part.argmax(axis=-1) for part in split(logits, classes)]

    apply = jax.jit(values)

    def read(images: np.ndarray) -> Readings:
        seen = np.stack([transforms.resize(image, size, size) for image in images])
        found = in_batches(lambda part: apply(network.variables, part), seen, _BATCH)
        return dict(zip(names, found, strict=True))

    return Reader(workdir, size, read)
