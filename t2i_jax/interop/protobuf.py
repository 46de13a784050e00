"""Messages of Protocol Buffers without their definitions: numbered fields in the order of the file.

TensorFlow's tensors, in checkpoints and in graphs, are read from them here too.
"""

import math
import struct
from collections.abc import Iterator

import numpy as np

Field = int | bytes  # whole numbers; fixed-size numbers as their bytes; texts and messages

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # kinds on the wire
# TensorFlow's types of numbers (types.proto), and the fields of a TensorProto with their values.
DTYPES = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}
_VALUES = {1: 5, 2: 6, 3: 7, 9: 10}
_DTYPE, _SHAPE, _CONTENT = 1, 2, 4
# What reading damaged messages raises.
BROKEN = (ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, struct.error)


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(the number at that place, the place after it). ValueError where the data end within it."""
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("a number that does not end")


def fields(data: bytes) -> Iterator[tuple[int, Field]]:
    """(number, value) of each field of a message. ValueError where it is none."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = varint(data, at)
        else:
            size = {_EIGHT: 8, _FOUR: 4}.get(kind, -1)
        if size < 0 or at + size > len(data):
            raise ValueError("a damaged message")
        yield number, data[at : at + size]
        at += size


def every(data: bytes, number: int) -> list[Field]:
    """The values of all fields of that number."""
    return [value for found, value in fields(data) if found == number]


def one(data: bytes, number: int, default: Field = 0) -> Field:
    """The last value of that number, as the format has it; `default` where there is none."""
    return ([default] + every(data, number))[-1]


def shape(message: bytes) -> tuple[int, ...]:
    """Of a TensorShapeProto."""
    return tuple(one(dim, 1) for dim in every(message, 2))


def tensor(message: bytes) -> np.ndarray | None:
    """The values of a TensorProto; None for those that are no numbers of 32 or 64 bits.

    Raises ValueError where they do not fill the shape.
    """
    kind = one(message, _DTYPE)
    if kind not in DTYPES:
        return None
    values, dims = numbers(message, kind), shape(one(message, _SHAPE, b""))
    if values.size == 1:  # one value for all
        return np.full(dims, values[0])
    if values.size != math.prod(dims):
        raise ValueError(f"{values.size} values for the shape {dims}")
    return values.reshape(dims)


def numbers(message: bytes, kind: int) -> np.ndarray:
    """The values of a TensorProto of that type of `DTYPES`, one after another."""
    dtype = DTYPES[kind]
    if content := one(message, _CONTENT, b""):
        return np.frombuffer(content, dtype)
    values = every(message, _VALUES[kind])
    return np.frombuffer(b"".join(values), dtype) if dtype.kind == "f" else _whole(values, dtype)


def _whole(values: list[Field], dtype: np.dtype) -> np.ndarray:
    """Repeated whole numbers, each in a field of its own or packed into one."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            found.append(number)
    return np.array(found, np.uint64).astype(np.int64).astype(dtype)
