"""Weights of published char-CNN-RNN encoders <-> our variables.

Two forms are read: the checkpoints of Reed et al. (CVPR 2016 and ICML 2016), Torch7 files that hold
the unrolled network, and plain arrays named ``conv1/weight``, ``rnn/i2h/bias``, ... in PyTorch's
layouts (convolution (out, in, k), linear (out, in)). What the encoder is, "rnn8" or "gru18" and of
which widths, is read off the arrays.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flax import traverse_util

from t2i_jax.data import torch7
from t2i_jax.encoders.char_cnn_rnn import ALPHABET, KERNEL, TextEncoder
from t2i_jax.interop.published import check
from t2i_jax.interop.state_dict import extent

# 1-based positions of the linear layers in the unrolled recurrent graph (first steps).
_RNN8_GRAPH = {"i2h": 2, "h2h": 6}
_GRU18_GRAPH = {
    "i2h": 2,
    "i2h_update": 5,
    "h2h_update": 6,
    "i2h_reset": 10,
    "h2h_reset": 11,
    "h2h": 15,
}
_CONV_POSITIONS = {"conv1": 1, "conv2": 4, "conv3": 7}


def load_torch7(path: str | os.PathLike) -> tuple[TextEncoder, dict]:
    """The encoder of a published ``.t7`` checkpoint: (module, ``{"params": ...}``).

    The file holds a table with ``protos.enc_doc`` or the bare network (COCO). Raises OSError,
    `torch7.Torch7Error`, or ValueError where the file holds something else.
    """
    try:
        return from_arrays(torch7_arrays(torch7.load(path)))
    except torch7.Torch7Error:
        raise
    except ValueError as e:
        raise ValueError(f"{os.fspath(path)}: {e}") from e


def from_arrays(arrays: Mapping[str, np.ndarray], prefix: str = "") -> tuple[TextEncoder, dict]:
    """(module, ``{"params": ...}``) from the arrays whose names begin with `prefix`.

    Raises ValueError that names missing, unknown or misshapen arrays.
    """
    named = {k.removeprefix(prefix): np.asarray(arrays[k]) for k in arrays if k.startswith(prefix)}
    gates = _GRU18_GRAPH if any("_update/" in name for name in named) else _RNN8_GRAPH
    layers = [*_CONV_POSITIONS, *(f"rnn/{gate}" for gate in gates), "proj"]
    try:
        encoder = TextEncoder(
            recurrent="gru18" if gates is _GRU18_GRAPH else "rnn8",
            conv_widths=tuple(extent(named, f"conv{i}/weight", axes=(3,)) for i in (1, 2)),
            width=extent(named, "conv3/weight", axes=(3,)),
            embedding=extent(named, "proj/weight"),
        )
    except ValueError as error:
        raise ValueError(f"not a char-CNN-RNN encoder: {error}") from error
    check(named, _shapes(encoder, layers), "a char-CNN-RNN encoder")
    params = {}
    for layer in layers:
        # (out, in, k) -> [k, in, out] and (out, in) -> [in, out]: all axes reversed. A copy, so
        # that a large file's buffer is not kept alive by a view.
        params[f"{layer}/kernel"] = np.array(named[f"{layer}/weight"].T, np.float32, order="C")
        params[f"{layer}/bias"] = np.array(named[f"{layer}/bias"], np.float32)
    return encoder, {"params": traverse_util.unflatten_dict(params, sep="/")}


def to_arrays(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The inverse of `from_arrays`: parameters (or their gradients) as named arrays."""
    arrays = {}
    for name, value in traverse_util.flatten_dict(dict(params), sep="/").items():
        layer, kind = name.rsplit("/", 1)
        value = np.asarray(value)
        arrays[f"{layer}/weight" if kind == "kernel" else name] = (
            np.ascontiguousarray(value.T) if kind == "kernel" else value
        )
    return arrays


def torch7_arrays(checkpoint: Any) -> dict[str, np.ndarray]:
    """The arrays, named as above, of an encoder read by `torch7.load`.

    Raises ValueError where a part of the network is not where the published ones have it.
    """
    network = checkpoint
    if isinstance(checkpoint, dict):
        protos = checkpoint.get("protos")
        network = protos.get("enc_doc") if isinstance(protos, dict) else None
        if network is None:
            found = sorted(str(key) for key in checkpoint)[:10]
            raise ValueError(f"no protos.enc_doc in the table; it holds {found}")
    arrays = {}
    for layer, position in _CONV_POSITIONS.items():
        conv = _module(network, 2, position)
        weight, bias = _weights(conv, layer)
        if weight.ndim != 2 or weight.shape[1] % KERNEL:
            raise ValueError(f"{layer}: weight {weight.shape} is no convolution of {KERNEL} steps")
        # Stored (out, k * in), time slow and channels fast.
        weight = weight.reshape(weight.shape[0], KERNEL, -1).swapaxes(1, 2)
        arrays |= {f"{layer}/weight": weight, f"{layer}/bias": bias}
    # An unrolled GRU has a linear layer at 15 where the ReLU recurrence adds two tables.
    gated = "modules" in _fields(_module(network, 4, _GRU18_GRAPH["h2h"]))
    for gate, position in (_GRU18_GRAPH if gated else _RNN8_GRAPH).items():
        weight, bias = _weights(_module(network, 4, position, 1), f"rnn/{gate}")
        arrays |= {f"rnn/{gate}/weight": weight, f"rnn/{gate}/bias": bias}
    weight, bias = _weights(_module(network, 6), "proj")
    return arrays | {"proj/weight": weight, "proj/bias": bias}


def _fields(module: Any) -> dict:
    return module.fields if isinstance(module, torch7.TorchObject) else {}


def _module(network: Any, *positions: int) -> torch7.TorchObject:
    """The module at ``modules[p1].modules[p2]...``."""
    module = network
    for depth, position in enumerate(positions, start=1):
        inner = _fields(module).get("modules")
        module = inner.get(position) if isinstance(inner, dict) else None
        if not isinstance(module, torch7.TorchObject):
            where = ".".join(f"modules[{p}]" for p in positions[:depth])
            kind = getattr(network, "class_name", type(network).__name__)
            raise ValueError(f"not a published char-CNN-RNN encoder: {kind} has no {where}")
    return module


def _weights(module: torch7.TorchObject, layer: str) -> tuple[np.ndarray, np.ndarray]:
    weight, bias = module.fields.get("weight"), module.fields.get("bias")
    if not isinstance(weight, np.ndarray) or not isinstance(bias, np.ndarray):
        raise ValueError(f"{layer}: {module.class_name} has no weight and bias")
    return weight, bias


def _shapes(encoder: TextEncoder, layers: Sequence[str]) -> dict[str, tuple[int, ...]]:
    first, second = encoder.conv_widths
    weights = {
        "conv1": (first, ALPHABET, KERNEL),
        "conv2": (second, first, KERNEL),
        "conv3": (encoder.width, second, KERNEL),
        "proj": (encoder.embedding, encoder.width),
    }
    shapes = {}
    for layer in layers:
        weight = weights.get(layer, (encoder.width, encoder.width))
        shapes |= {f"{layer}/weight": weight, f"{layer}/bias": weight[:1]}
    return shapes


PARTS = {"text": load_torch7}  # what a file holds -> its reader, see `t2i_jax.training.networks`
