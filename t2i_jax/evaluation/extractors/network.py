"""Extractors that are a network with weights, on all devices of this process."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax.drawing.drawer import in_batches
from t2i_jax.drawing.spread import Spread
from t2i_jax.evaluation.extractors.base import Extractor, Images
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

    Rows are split over the devices of this process, `batch_size` at a time, rounded up to a
    multiple of them; the last batch is filled up. Multiplications are in full float32 whatever the
    device's habit.
    """
    spread = Spread(jax.local_devices())
    variables = spread.replicated(network.variables)

    def vectors(variables: Mapping[str, Any], images: jax.Array) -> Layers:
        with jax.default_matmul_precision("highest"):
            found = layers(network.module.apply(variables, images, train=False))
        return {layer: vector.astype(jnp.float32) for layer, vector in found.items()}

    sample = preprocessing(np.zeros((1, 8, 8, 3), np.uint8))
    widths = {k: v.shape[1] for k, v in jax.eval_shape(vectors, network.variables, sample).items()}
    apply = jax.jit(vectors)

    def part(images: Images) -> Layers:
        placed = spread.rows(preprocessing.host(images))
        # Not within the program of the network: images of another size do not compile it anew, and
        # what is computed one operation at a time is rounded after each, as its definition has it.
        return apply(variables, preprocessing.device(placed))

    rows = spread.rounded_up(batch_size)

    def extract(images: Images) -> dict[str, np.ndarray]:
        if not len(images):
            return {layer: np.zeros((0, width), np.float32) for layer, width in widths.items()}
        return in_batches(part, images, rows)

    identity = f"{digest(network)}\n{preprocessing.words}"
    return Extractor(
        name=name,
        description=description,
        preprocessing=preprocessing.words,
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        widths=widths,
        extract=extract,
    )
