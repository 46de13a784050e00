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
import zipfile
from typing import Any

import numpy as np

from t2i_jax import paths

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "Float": "<f4",
    "Double": "<f8",
    "Half": "<f2",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "i1",
    "Byte": "u1",
    "Bool": "?",
}


class _Tensor:
    """A view of a storage whose data may not have been read yet."""

    def __init__(self, storage: "_Storage", offset: int, size, stride):
        self.storage, self.offset = storage, int(offset)
        self.size = tuple(int(n) for n in size)
        self.stride = tuple(int(n) for n in stride)

    def array(self) -> np.ndarray:
        """A copy of the values; ValueError where the view reaches beyond its storage."""
        data = self.storage.data
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
    def __init__(self, dtype: str, count: int):
        self.dtype, self.count = np.dtype(dtype), count
        self.data = np.zeros(0, self.dtype)


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
        if module in ("torch", "torch.cuda") and kind != name and kind in _DTYPES:
            return _DTYPES[kind]
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
        return self.storages.setdefault(str(key), _Storage(dtype, int(count)))


def load(path: str | os.PathLike) -> Any:
    """The object in a checkpoint, usually a state dict: tensors as NumPy arrays, ordered dicts as
    dicts. bfloat16 tensors are not read.

    Raises FileNotFoundError, and ValueError where the file is no checkpoint, is cut short, or asks
    for other Python objects.
    """
    path = paths.path(path)
    data = paths.read_bytes(path)
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            return _arrays(_read_zip(zipfile.ZipFile(io.BytesIO(data))))
        return _arrays(_read_legacy(data))
    except (ValueError, KeyError, EOFError, IndexError, TypeError) as error:
        raise ValueError(f"{path}: not a readable PyTorch checkpoint: {error}") from error
    except (pickle.UnpicklingError, zipfile.BadZipFile, AttributeError) as error:
        raise ValueError(f"{path}: not a readable PyTorch checkpoint: {error}") from error


def _read_zip(archive: zipfile.ZipFile) -> Any:
    names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
    if len(names) != 1:
        raise ValueError("a zip file without data.pkl")
    root = names[0].removesuffix("data.pkl")
    order = f"{root}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise ValueError("written on a big-endian machine")
    storages: dict[str, _Storage] = {}
    result = _Unpickler(io.BytesIO(archive.read(names[0])), storages).load()
    for key, storage in storages.items():
        _fill(storage, archive.read(f"{root}data/{key}"))
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
        if count != storage.count:
            raise ValueError(f"storage {key} has {count} elements, announced as {storage.count}")
        _fill(storage, file.read(count * storage.dtype.itemsize))
    return result


def _fill(storage: _Storage, raw: bytes) -> None:
    if len(raw) < storage.count * storage.dtype.itemsize:
        raise ValueError("a storage is cut short")
    storage.data = np.frombuffer(raw, storage.dtype, storage.count)


def _arrays(value: Any) -> Any:
    if isinstance(value, _Tensor):
        return value.array()
    if isinstance(value, dict):
        return {k: _arrays(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_arrays(v) for v in value)
    return value
