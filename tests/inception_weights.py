"""State dicts of Inception-v3 with weights drawn from their names, so that other programs can make
the same: those that the reference numbers were computed with.
"""

import zlib

import numpy as np

from t2i_jax.encoders.inception_classifier import InceptionClassifier
from t2i_jax.interop.inception_classifier import layers
from t2i_jax.interop.published import shapes_of


def state_dict(module: InceptionClassifier = InceptionClassifier()) -> dict[str, np.ndarray]:  # noqa: B008
    """By PyTorch's names, in its axes, without `num_batches_tracked`."""
    shapes = shapes_of(module, layers(), 75)
    return {name: drawn(name, shape) for name, shape in shapes.items()}


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array of that name, PyTorch's or Keras'."""
    r = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith((".bn.weight", ".bn.running_var", "/moving_variance")):
        value = r.uniform(0.5, 1.5, shape)
    elif name in ("fc.weight", "predictions/kernel"):
        value = r.standard_normal(shape) * np.sqrt(1 / 2048)
    elif len(shape) == 4:
        inputs = shape[:3] if name.endswith("/kernel") else shape[1:]
        value = r.standard_normal(shape) * np.sqrt(2 / np.prod(inputs))
    else:
        value = 0.1 * r.standard_normal(shape)
    return value.astype(np.float32)
