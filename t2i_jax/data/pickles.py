"""Reading other people's pickles without running other people's code.

The papers' archives ship lists of file names, class ids, word ids and sentence vectors as Python 2
pickles. A pickle is a program: this reader only lets it build plain containers, strings and
numbers, NumPy scalars and (on request) NumPy arrays.
"""

import io
import os
import pickle
from typing import Any

import numpy as np

from t2i_jax import paths
from t2i_jax.data.report import DataError


class PickleRefused(DataError):
    """The pickle is broken, or asks for something that a list of names never needs."""


def _scalar(dtype: np.dtype, data: Any = None) -> Any:
    """A NumPy scalar from its dtype and bytes (a latin-1 str in Python 2 pickles)."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise PickleRefused("a NumPy scalar of Python objects")
    raw = data.encode("latin-1") if isinstance(data, str) else data
    return np.frombuffer(raw, dtype, count=1)[0]


def _empty_array(subtype: type, shape: Any, dtype: Any) -> np.ndarray:
    """What `numpy._reconstruct` does for a plain ndarray: its state follows in the pickle."""
    if subtype is not np.ndarray:
        raise PickleRefused(f"an array of type {subtype}")
    return np.ndarray((0,), "b")


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Python 3 writes bytes into old protocols as ``_codecs.encode(text, "latin1")``."""
    if encoding not in ("latin1", "latin-1"):
        raise PickleRefused(f"the codec {encoding!r}")
    return text.encode("latin-1")


_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_SCALARS = {
    **{(m, "scalar"): _scalar for m in _NUMPY},
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}
_ARRAYS = {
    **{(m, "_reconstruct"): _empty_array for m in _NUMPY},
    ("numpy", "ndarray"): np.ndarray,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, allowed: dict):
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise PickleRefused(f"the object {module}.{name}") from None


def load(path: str | os.PathLike, *, arrays: bool = False) -> Any:
    """The contents of a pickle made of lists, tuples, dicts, strings, numbers and NumPy scalars.

    Strings of Python 2 come back as str (latin-1). A text pickle (protocol 0) that went through a
    conversion to Windows line ends is read as if it had not.

    arrays: also allow NumPy arrays of numbers (sentence vectors); lists of names need none.

    Raises:
      PickleRefused: it asks for anything else, or is cut short or not a pickle.
    """
    data = paths.read_bytes(paths.path(path))
    if data[:1] != b"\x80":  # protocols 0 and 1; text never holds a bare carriage return
        data = data.replace(b"\r\n", b"\n")
    return _read(path, data, arrays)


def load_object_array(path: str | os.PathLike) -> Any:
    """The one object in a ``.npy`` file that `numpy.save` made of it, such as a dict of arrays.

    Raises PickleRefused as `load`, also for a file of another kind.
    """
    with io.BytesIO(paths.read_bytes(paths.path(path))) as file:
        try:
            version = np.lib.format.read_magic(file)
            header = {(1, 0): np.lib.format.read_array_header_1_0}.get(
                version, np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = header(file)
        except ValueError as error:
            raise PickleRefused(f"{path}: not a .npy file: {error}") from None
        data = file.read()
    if shape != () or not dtype.hasobject:
        raise PickleRefused(f"{path}: it holds an array of {dtype} {shape}, not one object")
    return _read(path, data, arrays=True).item()


def _read(path: str | os.PathLike, data: bytes, arrays: bool) -> Any:
    try:
        return _Unpickler(data, {**_SCALARS, **(_ARRAYS if arrays else {})}).load()
    except PickleRefused as error:
        raise PickleRefused(
            f"{path}: this pickle asks for {error}; a file of the data set has no need of it. "
            "Get the archive from its authors again."
        ) from None
    except Exception as error:  # the pickle machine raises nearly anything on broken input
        raise PickleRefused(
            f"{path}: not a readable pickle ({type(error).__name__}: {error}); "
            "the download may be cut short."
        ) from None
