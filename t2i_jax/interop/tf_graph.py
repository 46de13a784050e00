"""Frozen graphs of TensorFlow (``.pb``) without TensorFlow: their constants by name."""

import os

import numpy as np

from t2i_jax import paths
from t2i_jax.interop import protobuf
from t2i_jax.interop.protobuf import every, one

# Fields of GraphDef, NodeDef, its map of attributes and AttrValue.
_NODE, _NAME, _OP, _ATTRIBUTE, _KEY, _VALUE, _TENSOR = 1, 1, 2, 5, 1, 2, 8


def load(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The constants of a graph that are numbers of 32 or 64 bits.

    Raises FileNotFoundError, and ValueError where it is no graph, or damaged.
    """
    data = paths.read_bytes(paths.path(path))
    try:
        found = {}
        for node in every(data, _NODE):
            array = protobuf.tensor(_value(node)) if one(node, _OP, b"") == b"Const" else None
            if array is not None:
                found[one(node, _NAME).decode()] = array
    except protobuf.BROKEN as error:
        raise ValueError(
            f"{os.fspath(path)}: not a readable graph of TensorFlow: {error}"
        ) from error
    if not found:
        raise ValueError(f"{os.fspath(path)}: not a graph of TensorFlow with constants")
    return found


def _value(node: bytes) -> bytes:
    attributes = every(node, _ATTRIBUTE)
    values = [one(a, _VALUE, b"") for a in attributes if one(a, _KEY, b"") == b"value"]
    return one(values[-1], _TENSOR, b"") if values else b""
