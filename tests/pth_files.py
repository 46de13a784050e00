"""Files as PyTorch 1.6 and later writes them, without PyTorch: a zip with a hand-written pickle."""

import pathlib
import pickle
import zipfile

import numpy as np

_STORAGES = {
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "uint8": "ByteStorage",
    "int8": "CharStorage",
    "int32": "IntStorage",
    "int64": "LongStorage",
    "bool": "BoolStorage",
}


def write(path: pathlib.Path, content: dict, order: str = "") -> pathlib.Path:
    """Writes a dict of arrays, numbers and such dicts; returns path.

    order: "little" or "big", of the bytes; stated in the file as from PyTorch 2.1 on.
    """
    arrays: list[np.ndarray] = []
    program = b"\x80\x02" + _dict(content, arrays) + b"."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        for key, array in enumerate(arrays):
            raw = array.byteswap() if order == "big" else array
            archive.writestr(f"archive/data/{key}", raw.tobytes())
        if order:
            archive.writestr("archive/byteorder", order)
    return path


def _dict(content: dict, arrays: list[np.ndarray]) -> bytes:
    items = (_plain(name) + _value(value, arrays) for name, value in content.items())
    return b"}(" + b"".join(items) + b"u"


def _value(value, arrays: list[np.ndarray]) -> bytes:
    if isinstance(value, dict):
        return _dict(value, arrays)
    if not isinstance(value, np.ndarray):
        return _plain(value)
    array = np.asarray(value, order="C")
    arrays.append(array)
    key, kind = str(len(arrays) - 1), _STORAGES[array.dtype.name]
    storage = b"(" + _plain("storage") + f"ctorch\n{kind}\n".encode()
    storage += _plain(key) + _plain("cpu") + _plain(array.size) + b"tQ"
    strides = tuple(s // array.itemsize for s in array.strides)
    view = _plain(0) + _plain(array.shape) + _plain(strides) + _plain(False)
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + hooks + b"tR"


def _plain(value) -> bytes:
    return pickle.dumps(value, 2)[2:-1]  # without the beginning and the end of a pickle
