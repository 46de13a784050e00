"""Style transfer: a trained style encoder turns photos into the noise that would draw their like.

Reed et al., "Generative Adversarial Text to Image Synthesis", ICML 2016, section 4.4. Trained by
`t2i_jax.recipes.style_encoder`.
"""

import dataclasses
import io
import math
from collections.abc import Sequence

import jax
import numpy as np
from PIL import Image

from t2i_jax import axis
from t2i_jax.data.options import DataOptions
from t2i_jax.drawing import drawer
from t2i_jax.models import style_encoder as models
from t2i_jax.training import build, networks
from t2i_jax.training.inputs import to_float


class StyleEncoder:
    """S of a style encoder's run, for the generator of `system`.

    Raises FileNotFoundError where `workdir` is no run or has no checkpoint, ValueError where the
    run is of something else or does not fit the generator.
    """

    def __init__(self, workdir: str, system: build.System, batch_size: int):
        network = networks.resolve("style_encoder", workdir, "net", models.StyleEncoder)
        net = network.module
        drawn = (system.config.data.size, dict(system.recipe.noise_shapes))
        read = (net.image_size, {"z": (net.noise_dim,)})
        if read != drawn:
            raise ValueError(
                f"style_encoder={workdir!r} reads images of {read[0]} px and writes noise "
                f"{read[1]}, but this run draws images of {drawn[0]} px from noise {drawn[1]}: "
                "train a style encoder with --frozen.generator=THIS_RUN"
            )
        self._variables = network.variables
        self._style = jax.jit(lambda v, images: net.apply(v, to_float(images), train=False))
        self._batch_size = batch_size
        variance = axis.NOISE_VARIANCE[system.recipe.noise_distribution]
        self._norm = math.sqrt(net.noise_dim * variance)

    def __call__(self, images: np.ndarray, normalise: bool = False) -> np.ndarray:
        """uint8 [N, size, size, 3] -> styles [N, noise_dim] float32.

        normalise: bring every style to the noise's usual norm, sqrt(noise_dim) times its standard
            deviation: trained by squared error, S says too little rather than too much.
        """
        styles = drawer.in_batches(
            lambda part: self._style(self._variables, part), images, self._batch_size
        )
        if normalise:
            norms = np.linalg.norm(styles, axis=-1, keepdims=True)
            styles = styles * (self._norm / np.maximum(norms, 1e-12))
        return styles


def view(photos: Sequence[np.ndarray], options: DataOptions) -> np.ndarray:
    """Photos as a training with these options saw its images, uint8 [N, size, size, 3]: resized by
    its rule, the middle instead of a random crop (76 -> 64 px in the paper), not mirrored.

    Raises ValueError for anything but uint8 [H, W, 3], and for none.
    """
    if not hasattr(photos, "__len__"):
        raise TypeError(f"photos={photos!r}: a list of uint8 RGB arrays [H, W, 3] is needed")
    if not len(photos):
        raise ValueError("no photos")
    for i, photo in enumerate(photos):
        dtype, shape = getattr(photo, "dtype", type(photo).__name__), np.shape(photo)
        if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3:
            raise ValueError(f"photo {i} is {dtype} {shape}; photos must be uint8 RGB [H, W, 3]")
    transform = dataclasses.replace(
        options.image_transform,
        crop="none" if options.crop == "none" else "center",
        flip=False,
        box_crop=False,
    )
    return np.stack([transform(_encoded(photo), None, None) for photo in photos])


def _encoded(image: np.ndarray) -> bytes:
    """A lossless file of an image, which is what the transform of the data takes."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "BMP")
    return file.getvalue()
