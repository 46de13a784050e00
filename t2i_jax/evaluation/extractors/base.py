"""What turns images, and captions, into the vectors that metrics compare."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

Images = np.ndarray  # uint8 [N, H, W, 3], RGB, all of one size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extractor:
    """A network of images with frozen weights, and the way that images take to reach it.

    name: as the command line and results have it.
    description: which network and weights, in words.
    preprocessing: resizing and scaling, in words.
    digest: of class, weights and preprocessing. Features may be compared where it is the same.
    widths: the numbers of an image in each layer, such as ``{"pool": 2048, "logits": 1008}``.
    extract: images -> ``{layer: float32 [N, width]}``, for any N; an image's vector does not depend
        on its batch.
    """

    name: str
    description: str
    preprocessing: str
    digest: str
    widths: Mapping[str, int]
    extract: Callable[[Images], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DualEncoder:
    """Encoders that bring images and captions into one space, compared by the cosine.

    images: has the layer `EMBEDDING`.
    text: captions -> float32 [N, E]. Warns of captions that are cut or not read as a whole, with
        their number.
    parts: digests of the weights (`t2i_jax.interop.weights.digest`) by the network's name.
    source: the folder of a model or of a run that they are of.
    """

    images: Extractor
    text: Callable[[Sequence[str]], np.ndarray]
    parts: Mapping[str, str]
    source: str


EMBEDDING = "embedding"
TEXT = "text"  # the layer of captions' vectors
_USUAL = (EMBEDDING, "2048", "features", "fc2_relu")


def usual_layer(layers: Iterable[str]) -> str:
    """The one of an extractor's layers by whose distances images are compared where nothing else is
    asked for.
    """
    known = set(layers)
    return next(layer for layer in _USUAL if layer in known)
