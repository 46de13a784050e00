"""Extractors that are a network with weights, on all devices of this process."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax.evaluation.extractors.base import Extractor, Images
from t2i_jax.evaluation.extractors.devices import on_all_devices
from t2i_jax.training.networks import Network, digest

Layers = dict[str, jax.Array]  # float32 [B, width] by name


class Preprocessing(NamedTuple):
    """What images go through on their way to a network.

    words: all of it. device: uint8 [B, H, W, 3] -> what the network takes, on the devices.
    host: uint8 to uint8, before that.
    """

    words: str
    device: Callable[[jax.Array], jax.Array]
    host: Callable[[Images], Images] = lambda images: images

    def __call__(self, images: Images) -> jax.Array:
        return self.device(jnp.asarray(self.host(images)))


def extractor(
    name: str,
    description: str,
    network: Network,
    preprocessing: Preprocessing,
    layers: Callable[[Any], Layers],
    batch_size: int,
) -> Extractor:
    """The extractor of what `layers` takes from the network's output.

    Rows are split over devices as by `on_all_devices`. Multiplications are in full float32 whatever
    the device's habit.
    """

    def vectors(variables: Mapping[str, Any], images: jax.Array) -> Layers:
        with jax.default_matmul_precision("highest"):
            found = layers(network.module.apply(variables, images, train=False))
        return {layer: vector.astype(jnp.float32) for layer, vector in found.items()}

    sample = preprocessing(np.zeros((1, 8, 8, 3), np.uint8))
    widths = {k: v.shape[1] for k, v in jax.eval_shape(vectors, network.variables, sample).items()}
    apply = on_all_devices(vectors, network.variables, batch_size, preprocessing.device)

    def extract(images: Images) -> dict[str, np.ndarray]:
        if not len(images):  # the host's part may not know what to make of none
            return {layer: np.zeros((0, width), np.float32) for layer, width in widths.items()}
        return apply(preprocessing.host(images))

    identity = f"{digest(network)}\n{preprocessing.words}"
    return Extractor(
        name=name,
        description=description,
        preprocessing=preprocessing.words,
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        widths=widths,
        extract=extract,
    )
