"""Weights of the GAN-INT-CLS release in Torch7's layout <-> our variables.

Between the two stands a flat dictionary of NumPy arrays named ``"<layer>/<field>"``
(``"res4/conv1/weight"``) with Torch's fields and axes: linear weights (out, in), convolutions
(out, in, kh, kw), transposed convolutions (in, out, kh, kw), batch norm ``weight``, ``bias``,
``running_mean``, ``running_var``. Layers have our modules' names.

Only the published 64 px networks are read; `player` is "g" or "d" throughout.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from t2i_jax.data.torch7 import TorchObject, sequence
from t2i_jax.interop import files
from t2i_jax.interop.published import check, empty
from t2i_jax.interop.state_dict import extent
from t2i_jax.models.gan_int_cls import Generator
from t2i_jax.recipes.terms import no_noise

Arrays = dict[str, np.ndarray]

_BATCH_NORM = {
    "weight": ("params", "scale"),
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
}
_LINEAR = {"weight": ("params", "kernel"), "bias": ("params", "bias")}
# Axes of our kernel, as positions in Torch's weight.
_AXES = {"conv": (2, 3, 1, 0), "deconv": (2, 3, 0, 1), "linear": (1, 0)}
_TORCH7_CLASS = {
    "conv": "SpatialConvolution",
    "deconv": "SpatialFullConvolution",
    "linear": "Linear",
    "bn": "BatchNormalization",
}
_JOIN = ("fc", "fc_bn", "conv5", "bn5", "conv6")  # layers of the discriminator's text half
_EPSILON = 1e-5  # of the batch norm, in files that store 1 / sqrt(var + epsilon)


def _block(name: str) -> list[str]:
    return [f"{name}/{kind}{i}" for i in (1, 2, 3) for kind in ("conv", "bn")]


def layers(
    player: str, variant: str = "int", residual: bool = True, large: bool = False
) -> list[str]:
    """Names of the layers with parameters, in the order in which the release stores them.

    variant, residual: as in `t2i_jax.models.gan_int_cls.Discriminator`; large: as in `Generator`.
    """
    if player == "g":
        res4, res8 = (
            _block(name) + (_block(f"{name}b") if large else []) for name in ("res4", "res8")
        )
        first = ["fc", "deconv1", "bn1", *res4, "deconv2", "bn2", *res8]
        return [*first, "deconv3", "bn3", "deconv4", "bn4", "deconv5"]
    trunk = ["conv1", "conv2", "bn2", "conv3", "bn3", "conv4", "bn4"]
    block = _block("res4") if residual else []
    text = ["fc", "fc_bn"] if variant == "int" else ["fc"]
    return trunk + block + text + ["conv5", "bn5", "conv6"]


def _kind(layer: str) -> str:
    name = layer.rsplit("/", 1)[-1]
    if name == "fc":
        return "linear"
    return next(kind for kind in ("deconv", "conv", "bn") if kind in name)


def to_variables(player: str, arrays: Mapping[str, np.ndarray], conv_bias: bool = False) -> dict:
    """Linen variables from Torch's arrays.

    conv_bias: keep the biases of convolutions, for modules with ``conv_bias=True``. A published
        generator's are one optimizer step away from 0: the result differs by about 1e-6 without.

    Raises ValueError for a name that no layer has.
    """
    known = set(layers(player, large=True))
    flat = {}
    for name, array in arrays.items():
        layer, _, field = name.rpartition("/")
        kind = _kind(layer) if layer in known else None
        places = _BATCH_NORM if kind == "bn" else _LINEAR
        if kind is None or field not in places:
            raise ValueError(f"no layer of the {player!r} network takes the array {name!r}")
        if field == "bias" and kind in ("conv", "deconv") and not conv_bias:
            continue
        if field == "weight" and kind != "bn":
            array = np.transpose(array, _AXES[kind])
        collection, leaf = places[field]
        flat[(collection, *_path(player, layer), leaf)] = np.asarray(array, np.float32)
    return unflatten_dict(flat)


def to_arrays(player: str, variables: Mapping[str, Any]) -> Arrays:
    """Torch's arrays from linen variables: the inverse of `to_variables`. Parameters alone, or
    gradients in place of them, do as well.
    """
    arrays = {}
    for (collection, *path, leaf), value in flatten_dict(dict(variables)).items():
        layer = "/".join(path if player == "g" else path[1:])
        kind = _kind(layer)
        places = _BATCH_NORM if kind == "bn" else _LINEAR
        field = next(f for f, place in places.items() if place == (collection, leaf))
        array = np.asarray(value)
        if field == "weight" and kind != "bn":
            array = np.transpose(array, np.argsort(_AXES[kind]))
        arrays[f"{layer}/{field}"] = array
    return arrays


def _path(player: str, layer: str) -> tuple[str, ...]:
    path = tuple(layer.split("/"))
    if player == "g":
        return path
    return ("join" if path[0] in _JOIN else "trunk", *path)


def torch7_arrays(
    player: str,
    net: TorchObject,
    variant: str = "int",
    residual: bool = True,
    large: bool = False,
) -> Arrays:
    """Arrays of a network that the release saved, as `t2i_jax.data.torch7.load` returns it.

    Names of GPU classes (``cudnn.SpatialConvolution``) are read too, and so are batch norms and
    convolutions as stored before the autumn of 2015.

    Raises ValueError where the layers are not those of the published network.
    """
    names = layers(player, variant, residual, large)
    found = list(_with_weights(net))
    if len(found) != len(names):
        raise ValueError(
            f"the published {player!r} network (variant {variant!r}, residual {residual}, large "
            f"{large}) has {len(names)} layers with weights, this file has {len(found)}"
        )
    arrays = {}
    for name, module in zip(names, found, strict=True):
        kind = _kind(name)
        if not module.class_name.endswith(_TORCH7_CLASS[kind]):
            raise ValueError(
                f"layer {name!r} should be a {_TORCH7_CLASS[kind]}, "
                f"this file has a {module.class_name}"
            )
        fields = dict(module.fields)
        weight = fields["weight"]
        if kind == "conv" and weight.ndim == 2:  # (out, in * kh * kw)
            shape = [int(fields.get(f) or 0) for f in ("nOutputPlane", "nInputPlane", "kH", "kW")]
            if weight.size == math.prod(shape):
                fields["weight"] = weight.reshape(shape)
        if isinstance(fields.get("running_std"), np.ndarray):  # the standard deviation's inverse
            with np.errstate(divide="ignore"):
                fields["running_var"] = fields["running_std"] ** -2.0 - _EPSILON
        for field in _BATCH_NORM if kind == "bn" else _LINEAR:
            if not isinstance(fields.get(field), np.ndarray):
                raise ValueError(f"{name}/{field} is missing: the {module.class_name} has no array")
            arrays[f"{name}/{field}"] = np.asarray(fields[field], np.float32)
    return arrays


def _with_weights(module: TorchObject) -> Iterator[TorchObject]:
    """The modules that have weights, depth first."""
    if isinstance(module.fields.get("weight"), np.ndarray):
        yield module
    for child in sequence(module.fields.get("modules", {})):
        yield from _with_weights(child)


def import_generator(net: Any) -> tuple[Generator, dict]:
    """(module, variables) of a published generator, as `t2i_jax.data.torch7.load` returns it; the
    biases of its convolutions included. Sizes are read off the arrays, each of which is checked.

    Raises ValueError that names what is wrong.
    """
    if not isinstance(net, TorchObject):
        raise ValueError(f"not a generator of GAN-INT-CLS: {type(net).__name__} is no network")
    large = len(list(_with_weights(net))) == len(layers("g", large=True))
    arrays = torch7_arrays("g", net, large=large)
    text_dim = extent(arrays, "fc/weight")
    module = Generator(
        channels=extent(arrays, "deconv4/weight", 1),
        text_dim=text_dim,
        noise_dim=extent(arrays, "deconv1/weight") - text_dim,
        large=large,
        conv_bias=True,
    )
    noise = no_noise(module.noise_shapes)
    sentence = jnp.zeros((1, extent(arrays, "fc/weight", 1)))
    made = empty(lambda: module.init(jax.random.key(0), noise, sentence, train=False))
    shapes = {name: array.shape for name, array in to_arrays("g", made).items()}
    check(arrays, shapes, "the published generator of GAN-INT-CLS")
    return module, to_variables("g", arrays, conv_bias=True)


def load_generator(path: files.Path) -> tuple[Generator, dict]:
    """`import_generator` of a ``.t7`` file; errors name the file."""
    return files.named(path, import_generator, files.load(path))


PARTS = {"generator": load_generator}
