"""PyTorch checkpoint files without PyTorch: the zip files of today and the format before 1.6.

A checkpoint is a pickle, that is, a program. This reader lets it build only dicts, lists, plain
values and tensors; a file that asks for more is refused, never run.

The old format is five pickles in a row (magic number, protocol, facts of the system, the object,
keys of the storages), then the storages: an int64 count and little-endian data each. A zip file
holds ``<name>/data.pkl`` and ``<name>/data/<key>``.
"""

import collections
import io
import os
import pickle
import struct
import zipfile
import zlib
from typing import Any

import ml_dtypes
import numpy as np

from t2i_jax import paths

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "Float": np.dtype("<f4"),
    "Double": np.dtype("<f8"),
    "Half": np.dtype("<f2"),
    "BFloat16": np.dtype(ml_dtypes.bfloat16),
    "Long": np.dtype("<i8"),
    "Int": np.dtype("<i4"),
    "Short": np.dtype("<i2"),
    "Char": np.dtype("i1"),
    "Byte": np.dtype("u1"),
    "Bool": np.dtype("?"),
}


class _Tensor:
    """A view of a storage whose data may not have been read yet."""

    def __init__(self, storage: "_Storage", offset: int, size, stride):
        self.storage, self.offset = storage, int(offset)
        self.size = tuple(int(n) for n in size)
        self.stride = tuple(int(n) for n in stride)

    def array(self) -> np.ndarray:
        """A copy of the values; ValueError where the view reaches beyond its storage, or that could
        not be read.
        """
        data = self.storage.data
        if self.storage.fault:
            raise ValueError(self.storage.fault)
        if any(n < 0 for n in (self.offset, *self.size, *self.stride)):
            raise ValueError("a tensor with a negative size, stride or offset")
        if 0 in self.size:
            return np.zeros(self.size, data.dtype)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride, strict=True))
        if last >= data.size:
            raise ValueError(f"a tensor reaches to element {last} of a storage of {data.size}")
        strides = tuple(s * data.itemsize for s in self.stride)
        return np.lib.stride_tricks.as_strided(data[self.offset :], self.size, strides).copy()


class _Storage:
    """fault: why there are no data, in words; "" where there are."""

    def __init__(self, dtype: np.dtype, count: int, fault: str = ""):
        self.dtype, self.count, self.fault = dtype, count, fault
        self.data = np.zeros(0, self.dtype)

    def fill(self, raw: bytes, order: str = "<") -> None:
        """Takes the file's bytes, of that byte order."""
        size = self.count * self.dtype.itemsize
        if self.fault:
            return
        if len(raw) < size:
            self.fault = f"cut short: the file has {len(raw):,} of its {size:,} bytes"
            return
        data = np.frombuffer(raw, self.dtype, self.count)
        self.data = data if order == "<" else data.byteswap()


def _rebuild_tensor(storage, offset, size, stride, *_ignored):
    """Stands for PyTorch's functions of that name, whose further arguments concern training."""
    return _Tensor(storage, offset, size, stride)


def _rebuild_parameter(data, *_ignored):
    return data


class _Unpickler(pickle.Unpickler):
    _ALLOWED = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    }

    def __init__(self, file, storages: dict[str, _Storage]):
        super().__init__(file, encoding="latin1")
        self.storages = storages

    def find_class(self, module: str, name: str) -> Any:
        kind = name.removesuffix("Storage")
        if module in ("torch", "torch.cuda") and kind != name:
            return _DTYPES.get(kind, kind)
        try:
            return self._ALLOWED[module, name]
        except KeyError:
            raise ValueError(
                f"it asks for {module}.{name}; only tensors in plain dicts and lists are read "
                "(save model.state_dict(), not the model)"
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, count, *view = pid
        if kind != "storage" or any(v is not None for v in view):
            raise ValueError(f"a storage of an unknown kind: {pid!r}")
        fault = "" if isinstance(dtype, np.dtype) else f"numbers of the kind {dtype} are not read"
        storage = _Storage(np.dtype("u1") if fault else dtype, int(count), fault)
        return self.storages.setdefault(str(key), storage)


def load(path: str | os.PathLike) -> Any:
    """The object in a checkpoint, usually a state dict: tensors as NumPy arrays (bfloat16 ones of
    the type of ml_dtypes), ordered dicts as dicts.

    Raises FileNotFoundError, and ValueError where the file is no checkpoint, asks for other Python
    objects, or is damaged: with the name of the first array that cannot be read.
    """
    path = paths.path(path)
    data = paths.read_bytes(path)
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            return _arrays(_read_zip(zipfile.ZipFile(io.BytesIO(data))))
        if data[:4] == b"PK\x03\x04":
            raise ValueError("cut short: a zip file without its end, the table of contents")
        return _arrays(_read_legacy(data))
    except _BROKEN as error:
        raise ValueError(f"{path}: not a readable PyTorch checkpoint: {_told(error)}") from error


# What pickles and zip files raise where they are damaged.
_BROKEN = (
    *(ValueError, KeyError, EOFError, IndexError, TypeError, AttributeError, OverflowError),
    *(pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error, RecursionError),
    *(MemoryError, NotImplementedError, RuntimeError),
)


def _told(error: Exception) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split()) or type(error).__name__


def _read_zip(archive: zipfile.ZipFile) -> Any:
    names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
    if len(names) != 1:
        raise ValueError("a zip file without data.pkl")
    root = names[0].removesuffix("data.pkl")
    order = "<"
    if f"{root}byteorder" in archive.namelist():
        order = {b"little": "<", b"big": ">"}[archive.read(f"{root}byteorder").strip()]
    storages: dict[str, _Storage] = {}
    result = _Unpickler(io.BytesIO(archive.read(names[0])), storages).load()
    for key, storage in storages.items():
        try:
            storage.fill(archive.read(f"{root}data/{key}"), order)
        except (KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            storage.fault = storage.fault or _told(error)
    return result


def _read_legacy(data: bytes) -> Any:
    file = io.BytesIO(data)
    storages: dict[str, _Storage] = {}
    if data[:1] != b"\x80" or _Unpickler(file, storages).load() != _MAGIC:
        raise ValueError("neither a zip file nor one that starts with PyTorch's magic number")
    _Unpickler(file, storages).load()  # protocol
    facts = _Unpickler(file, storages).load()
    if not facts.get("little_endian", True):
        raise ValueError("written on a big-endian machine")
    result = _Unpickler(file, storages).load()
    for key in _Unpickler(file, storages).load():
        storage = storages[str(key)]
        count = int.from_bytes(file.read(8), "little")
        if storage.fault:  # nobody knows where the next one begins
            raise ValueError(storage.fault)
        if count != storage.count and file.tell() < len(data):
            raise ValueError(f"storage {key} has {count} elements, announced as {storage.count}")
        storage.fill(file.read(storage.count * storage.dtype.itemsize))
    return result


def _arrays(value: Any, name: str = "") -> Any:
    """`value` with arrays in the place of tensors; an error begins with the array's name."""
    if isinstance(value, _Tensor):
        try:
            return value.array()
        except (ValueError, MemoryError) as error:
            raise ValueError(f"{name or 'its tensor'}: {error}") from error
    if isinstance(value, dict):
        return {k: _arrays(v, f"{name}/{k}" if name else str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_arrays(v, f"{name}/{i}") for i, v in enumerate(value))
    return value
