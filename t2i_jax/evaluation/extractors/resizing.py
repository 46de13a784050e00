"""The ways that 8-bit images take to a published network, one a protocol: how they are resized and
scaled. The results of two ways are never compared.

What a device does exactly, it does, on whole batches. Pillow's rounding to 8 bits between its two
passes is Pillow's alone, so what is defined by it is resized on the host.
"""

import concurrent.futures
import functools
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from t2i_jax.encoders.vgg import FC2_SIDE
from t2i_jax.evaluation.extractors.base import Images
from t2i_jax.evaluation.extractors.network import Preprocessing
from t2i_jax.training.inputs import to_float

SIDE = 299
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels in 0..1


def tensorflow_1(images: jax.Array, side: int = SIDE) -> jax.Array:
    """[B, H, W, C] -> float32 [B, side, side, C], the bilinear resizing of TensorFlow 1: place j is
    read at j * H / side, where the first pixels of both fall together and the last do not. Nothing
    is averaged where images shrink.
    """
    rows, columns = images.shape[1:3]
    low, high, part = _neighbours(columns, side)
    left, right = (images[:, :, at].astype(jnp.float32) for at in (low, high))
    x = left + (right - left) * part[:, None]
    low, high, part = _neighbours(rows, side)
    top, bottom = x[:, low], x[:, high]
    return top + (bottom - top) * part[:, None, None]


def _neighbours(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `target` places: the pixels before and after, and the part of the way to the
    latter, rounded to float32 as TensorFlow does.
    """
    places = np.arange(target, dtype=np.float32) * np.float32(source / target)
    low = np.floor(places).astype(np.int32)
    return low, np.minimum(low + 1, source - 1), (places - low).astype(np.float32)


def half_pixel(images: jax.Array, side: int = SIDE) -> jax.Array:
    """The same between pixels' centres, as TensorFlow 2 and PyTorch read them."""
    return _resized(images, side, "bilinear", antialias=False)


def bicubic(images: jax.Array, side: int = SIDE) -> jax.Array:
    """Pillow's bicubic of float images, which averages where they shrink, within 0..255."""
    return jnp.clip(_resized(images, side, "cubic", antialias=True), 0.0, 255.0)


def _resized(images: jax.Array, side: int, method: str, antialias: bool) -> jax.Array:
    b, _, _, c = images.shape
    x = images.astype(jnp.float32)
    return jax.image.resize(x, (b, side, side, c), method, antialias=antialias)


def pillow_bilinear(images: Images, side: int = SIDE) -> Images:
    """uint8 [N, H, W, 3] -> [N, side, side, 3] by Pillow, on the threads of `_threads`."""

    def resized(image: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))

    return np.stack(list(_threads().map(resized, images)))


@functools.cache
def _threads() -> concurrent.futures.ThreadPoolExecutor:
    """Pillow resizes without Python's lock: one thread a core."""
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count())


def scaled_128(images: jax.Array) -> jax.Array:
    """0..255 -> [-1, 1), as the graph of 2015 does it."""
    return (images - 128.0) / 128.0


def imagenet_twice(images: jax.Array) -> jax.Array:
    """uint8 -> what DM-GAN's and DF-GAN's programs feed: the map of ImageNet-normalised colours to
    [-1, 1], of colours in 0..1 that were never normalised. Red comes to lie in [-0.03, 0.43].
    """
    mean, std = np.float32(_MEAN), np.float32(_STD)
    return images.astype(jnp.float32) / 255.0 * (std / 0.5) + (mean - 0.5) / 0.5


def _then(resize: Callable, scale: Callable) -> Callable[[jax.Array], jax.Array]:
    return lambda images: scale(resize(images))


PREPROCESSINGS = {
    "tf1": Preprocessing(
        "resized to 299 by TensorFlow 1's bilinear rule, (v - 128) / 128",
        _then(tensorflow_1, scaled_128),
    ),
    "tf1_224": Preprocessing(
        "resized to 224 by TensorFlow 1's bilinear rule, v / 127.5 - 1",
        lambda images: to_float(tensorflow_1(images, FC2_SIDE)),
    ),
    "half_pixel": Preprocessing(
        "resized to 299 bilinearly between pixel centres without averaging, v / 127.5 - 1",
        _then(half_pixel, to_float),
    ),
    "clean": Preprocessing(
        "resized to 299 by Pillow's bicubic rule in floating point, (v - 128) / 128",
        _then(bicubic, scaled_128),
    ),
    "pillow": Preprocessing(
        "resized to 299 by Pillow's bilinear rule in 8 bits, v / 127.5 - 1",
        to_float,
        pillow_bilinear,
    ),
    # The programs resize a second time with aligned corners, from 299 to 299.
    "torchvision_t2i": Preprocessing(
        "resized to 299 by Pillow's bilinear rule in 8 bits, colours mapped as by the releases of "
        "DM-GAN and DF-GAN: v / 255 * std / 0.5 + (mean - 0.5) / 0.5",
        imagenet_twice,
        pillow_bilinear,
    ),
}
