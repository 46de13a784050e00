"""Checkpoints of TensorFlow without TensorFlow: the variables by name.

Version 1, until 2016, is one file (``model.ckpt-5000``); version 2 is ``model.ckpt-5000.index`` and
files ``model.ckpt-5000.data-00000-of-00001``. Both begin with a sorted table of LevelDB's format,
which ends in the places of its blocks: of values in version 1, in version 2 of entries that tell
where in the data files they are. A variable may lie in slices in version 1; in version 2 these are
refused.
"""

import os
import struct
from collections.abc import Iterator

import numpy as np

from t2i_jax import paths
from t2i_jax.interop import protobuf
from t2i_jax.interop.protobuf import every, one, varint

_MAGIC, _FOOTER, _TRAILER = 0xDB4775248B80FB57, 48, 5  # the trailer: compression and checksum
_INDEX = ".index"


def exists(path: str | os.PathLike) -> bool:
    """Whether a checkpoint of either version has that name."""
    return paths.path(path).is_file() or paths.path(f"{os.fspath(path)}{_INDEX}").is_file()


def load(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The variables of a checkpoint that are numbers of 32 or 64 bits.

    path: the checkpoint's name, with or without ``.index``.

    Raises FileNotFoundError, and ValueError where it is no checkpoint, or damaged.
    """
    name = os.fspath(path).removesuffix(_INDEX)
    index = paths.path(f"{name}{_INDEX}")
    try:
        if index.is_file():
            return _version_2(name, dict(_table(paths.read_bytes(index))))
        return _version_1(dict(_table(paths.read_bytes(paths.path(name)))))
    except protobuf.BROKEN as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{name}: not a readable checkpoint of TensorFlow: {told}") from error


def _version_1(table: dict[bytes, bytes]) -> dict[str, np.ndarray]:
    meta = one(table.pop(b""), 1, b"")
    shapes = {}
    for entry in every(meta, 1):
        if one(entry, 3) in protobuf.DTYPES:
            shapes[one(entry, 1).decode()] = protobuf.shape(one(entry, 2, b"")), one(entry, 3)
    arrays, filled = {}, dict.fromkeys(shapes, 0)
    for value in table.values():
        saved = one(value, 2, b"")
        name = one(saved, 1, b"").decode()
        if name not in shapes:
            continue
        dims, kind = shapes[name]
        array = arrays.setdefault(name, np.zeros(dims, protobuf.DTYPES[kind]))
        place = _slice(one(saved, 2, b""), dims)
        values = protobuf.numbers(one(saved, 3, b""), kind)  # which has no shape of its own
        array[place] = values.reshape(array[place].shape)
        filled[name] += values.size
    for name, (dims, _) in shapes.items():
        if filled[name] != np.prod(dims, dtype=np.int64):
            raise ValueError(f"{name} is not whole: {filled[name]} values for the shape {dims}")
    return arrays


def _slice(message: bytes, dims: tuple[int, ...]) -> tuple[slice, ...]:
    """Of a TensorSliceProto, one extent a dimension; without a length the whole dimension."""
    extents = every(message, 1) or [b""] * len(dims)
    places = []
    for extent, dim in zip(extents, dims, strict=True):
        start = one(extent, 1)
        places.append(slice(start, start + one(extent, 2, dim - start)))
    return tuple(places)


def _version_2(name: str, table: dict[bytes, bytes]) -> dict[str, np.ndarray]:
    header = table.pop(b"")
    shards, big = one(header, 1), one(header, 2)
    if big:
        raise ValueError("written on a big-endian machine")
    data: dict[int, np.ndarray] = {}
    arrays = {}
    for key, entry in table.items():
        kind, shard = one(entry, 1), one(entry, 3)
        if kind not in protobuf.DTYPES or key.startswith(b"\0"):  # the latter: slices
            continue
        variable, dtype = key.decode(), protobuf.DTYPES[kind]
        if every(entry, 7):
            raise ValueError(f"{variable} is kept in slices: save it without a partitioner")
        if shard not in data:
            file = paths.path(f"{name}.data-{shard:05d}-of-{shards:05d}")
            data[shard] = np.frombuffer(paths.read_bytes(file), np.uint8)
        dims, offset, size = protobuf.shape(one(entry, 2, b"")), one(entry, 4), one(entry, 5)
        raw = data[shard][offset : offset + size]
        if raw.size != np.prod(dims, dtype=np.int64) * dtype.itemsize:
            raise ValueError(f"{variable} with the shape {dims} has {raw.size} bytes: cut short")
        arrays[variable] = raw.view(dtype).reshape(dims) if raw.size else np.zeros(dims, dtype)
    return arrays


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a table, in their order."""
    footer = data[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("it does not end as a table does: another kind of file, or cut short")
    _, at = varint(footer, 0)  # the table's own facts, which nobody needs
    _, at = varint(footer, at)
    for _, handle in _block(data, footer[at:]):
        yield from _block(data, handle)


def _block(data: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Entries whose keys say how much they share with the key before; then the list of restarts."""
    offset, at = varint(handle, 0)
    size, _ = varint(handle, at)
    if offset + size + _TRAILER > len(data):
        raise ValueError("a block lies beyond the end of the file")
    if data[offset + size]:
        raise ValueError("its blocks are compressed, which TensorFlow's own are not")
    block = data[offset : offset + size]
    restarts = struct.unpack("<I", block[-4:])[0]
    end, at, key = size - 4 * (restarts + 1), 0, b""
    while at < end:
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        yield key, block[at + fresh : at + fresh + length]
        at += fresh + length
