"""Reader of Torch7's binary container (``.t7``), in NumPy alone.

The caption archives and the checkpoints of Reed et al. (2016) are stored in it, and no maintained
package reads it any more. Lua's values become:

- nil ``None``, boolean ``bool``, number ``float``;
- string ``str``, decoded as UTF-8 with ``surrogateescape``, so that any bytes survive
  (``s.encode("utf-8", "surrogateescape")`` gives them back);
- table ``dict``; a whole-number key becomes an ``int`` (Lua counts from 1), and a key that is
  neither number nor string is wrapped in `Ref`. `sequence` makes a list of the entries 1..n;
- tensor and storage ``np.ndarray``; tensors that share a storage in Torch are views of one array;
- an object of any other class `TorchObject`;
- function ``None``: its bytecode is skipped.

An object that the file mentions twice is the same Python object, cycles included.

Torch writes numbers as its machine keeps them: almost always little-endian with longs of 8 bytes,
on Windows and 32-bit systems of 4. A file that cannot be read so is tried in the other forms.
"""

import dataclasses
import os
import re
import struct
from collections.abc import Generator
from typing import Any

import numpy as np

from t2i_jax import paths

_NIL, _NUMBER, _STRING, _TABLE, _OBJECT, _BOOLEAN = 0, 1, 2, 3, 4, 5
_FUNCTIONS = (6, 7, 8)
_MAX_DIMS = 32  # far above any real tensor; a larger number means that the file is damaged
_OTHER_MACHINES = (("<", 4), (">", 8), (">", 4))  # byte order, bytes of a long
_ELEMENTS = {
    "Byte": "u1",
    "Char": "i1",
    "Short": "i2",
    "Int": "i4",
    "Long": "i8",
    "Float": "f4",
    "Double": "f8",
    "Cuda": "f4",
}
_ARRAY_CLASS = re.compile(r"torch\.(\w*)(Tensor|Storage)$")


class Torch7Error(ValueError):
    """The bytes are no Torch7 binary file, or a damaged one. Names the file and the offset."""


@dataclasses.dataclass(eq=False)
class TorchObject:
    """An object of a Lua class.

    class_name: such as ``"nn.Linear"``.
    fields: the object's own table, ``{"weight": array, ...}``.
    """

    class_name: str
    fields: dict = dataclasses.field(default_factory=dict)


class Ref:
    """A table key that is neither number nor string: equal to another `Ref` of the same object."""

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and self.value is other.value

    def __repr__(self) -> str:
        return f"Ref({type(self.value).__name__} at {id(self.value):#x})"


def load(path: str | os.PathLike) -> Any:
    """The object that a ``.t7`` file holds.

    Raises OSError where the file cannot be read, and Torch7Error where it is truncated, holds an
    unknown type, or is no Torch7 file at all.
    """
    return loads(paths.read_bytes(paths.path(path)), os.fspath(path))


def loads(data: bytes, name: str = "<bytes>") -> Any:
    """The object serialized in `data`; `name` is what error messages call it. Raises Torch7Error.

    Bytes after the first object are ignored, as Torch ignores them.
    """
    reader = _Reader(data, name)
    try:
        reader.check_start()
        return reader.run()
    except Torch7Error as error:
        for order, word in _OTHER_MACHINES:
            if (found := _read_whole(_Reader(data, name, order, word))) is not _NOTHING:
                return found
        raise error


_NOTHING = object()


def _read_whole(reader: "_Reader") -> Any:
    """The object, where it fills the bytes to the last; another machine's longs would not."""
    try:
        found = reader.run()
    except Torch7Error:
        return _NOTHING
    return found if reader.offset == len(reader.data) else _NOTHING


def sequence(table: dict) -> list:
    """The entries 1, 2, ... of a table up to the first that is missing, as a list."""
    items = []
    while (i := len(items) + 1) in table:
        items.append(table[i])
    return items


# A reading function that may meet nested objects is a generator: it yields once for each object it
# needs and is sent that object.
_Task = Generator[None, Any, Any]


class _Reader:
    """One pass over the bytes. Nested objects are kept on a list rather than on Python's stack:
    an unrolled recurrent network is a chain of thousands of nested tables.
    """

    def __init__(self, data: bytes, name: str, order: str = "<", word: int = 8):
        self.data = data
        self.name = name
        self.order, self.word = order, word
        self.offset = 0
        self.seen: dict[int, Any] = {}

    def error(self, what: str, offset: int | None = None) -> Torch7Error:
        at = self.offset if offset is None else offset
        return Torch7Error(f"{self.name}: {what} (at byte {at} of {len(self.data)})")

    def check_start(self) -> None:
        """Tells a web page or an ASCII-mode file from a damaged binary one."""
        if re.match(rb"[0-8]\n\d", self.data[:3]):
            raise self.error(
                "a Torch7 file in ASCII mode; only binary files can be read: save it with "
                "torch.save(path, object) in Torch7"
            )
        if len(self.data) >= 4 and not 0 <= struct.unpack_from("<i", self.data)[0] <= 8:
            raise self.error(f"not a Torch7 file: it begins with {self.data[:12]!r}")

    def run(self) -> Any:
        tasks = [self.object()]
        result = None
        while tasks:
            try:
                tasks[-1].send(result)
            except StopIteration as done:
                tasks.pop()
                result = done.value
            else:
                tasks.append(self.object())
                result = None
        return result

    def take(self, count: int, what: str) -> bytes:
        if count < 0:
            raise self.error(f"{what} of negative length {count}: the file is damaged")
        left = len(self.data) - self.offset
        if count > left:
            raise self.error(f"truncated: {what} needs {count} bytes, {left} are left")
        self.offset += count
        return self.data[self.offset - count : self.offset]

    def int32(self, what: str) -> int:
        return struct.unpack(f"{self.order}i", self.take(4, what))[0]

    def longs(self, count: int, what: str) -> tuple[int, ...]:
        kind = "q" if self.word == 8 else "i"
        return struct.unpack(f"{self.order}{count}{kind}", self.take(self.word * count, what))

    def string(self, what: str) -> str:
        return self.take(self.int32(what), what).decode("utf-8", "surrogateescape")

    def object(self) -> _Task:
        start = self.offset
        tag = self.int32("a type tag")
        if tag == _NIL:
            return None
        if tag == _NUMBER:
            return struct.unpack(f"{self.order}d", self.take(8, "a number"))[0]
        if tag == _STRING:
            return self.string("a string")
        if tag == _BOOLEAN:
            return self.int32("a boolean") != 0
        if tag not in (_TABLE, _OBJECT, *_FUNCTIONS):
            raise self.error(f"unknown type tag {tag}; 0 to 8 are known", start)
        index = self.int32("an object's index")
        if index in self.seen:
            return self.seen[index]
        if tag == _TABLE:
            table = self.seen[index] = {}
            yield from self.table(table)
            return table
        if tag == _OBJECT:
            return (yield from self.instance(index))
        self.seen[index] = None
        self.take(self.int32("a function"), "a function")
        yield  # its upvalues
        return None

    def table(self, table: dict) -> _Task:
        """Fills `table`, which is registered already: an entry may refer to it."""
        start = self.offset
        count = self.int32("a table's size")
        if count < 0:
            raise self.error(f"table of {count} entries: the file is damaged", start)
        for _ in range(count):
            key = yield
            value = yield
            table[_key(key)] = value

    def instance(self, index: int) -> _Task:
        start = self.offset
        class_name = self.string("a class name")
        if class_name.startswith("V "):  # the version; very old files have none
            class_name = self.string("a class name")
        if match := _ARRAY_CLASS.match(class_name):
            if match[1] not in _ELEMENTS:
                raise self.error(f"no reader for {class_name}; have {sorted(_ELEMENTS)}", start)
            kind = f"i{self.word}" if match[1] == "Long" else _ELEMENTS[match[1]]
            dtype = np.dtype(kind)  # of this machine's byte order
            if match[2] == "Storage":
                value = self.seen[index] = self.storage(dtype)
            else:
                value = self.seen[index] = yield from self.tensor(dtype)
            return value
        value = self.seen[index] = TorchObject(class_name)
        fields = yield
        if not isinstance(fields, dict):
            raise self.error(f"no reader for class {class_name!r}: it stores no table", start)
        value.fields = fields
        return value

    def storage(self, dtype: np.dtype) -> np.ndarray:
        (count,) = self.longs(1, "a storage's size")
        raw = self.take(count * dtype.itemsize, f"a storage of {count} {dtype.name}")
        return np.frombuffer(raw, dtype.newbyteorder(self.order)).astype(dtype)

    def tensor(self, dtype: np.dtype) -> _Task:
        start = self.offset
        dims = self.int32("a tensor's rank")
        if not 0 <= dims <= _MAX_DIMS:
            raise self.error(f"tensor of rank {dims}: the file is damaged", start)
        sizes = self.longs(dims, "a tensor's sizes")
        strides = self.longs(dims, "a tensor's strides")
        (first,) = self.longs(1, "a tensor's offset")
        if min(sizes, default=0) < 0 or min(strides, default=0) < 0:
            raise self.error(f"tensor of sizes {sizes}, strides {strides}: damaged", start)
        storage = yield
        if dims == 0 or 0 in sizes:  # Torch7 has no scalars: rank 0 is the empty tensor
            return np.zeros(sizes or (0,), dtype)
        last = first - 1 + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
        if not isinstance(storage, np.ndarray) or storage.ndim != 1 or storage.dtype != dtype:
            raise self.error(f"tensor of sizes {sizes} without a {dtype.name} storage", start)
        if first < 1 or last >= storage.size:
            raise self.error(
                f"tensor of sizes {sizes}, strides {strides}, offset {first} reaches outside its "
                f"storage of {storage.size} elements",
                start,
            )
        steps = tuple(step * dtype.itemsize for step in strides)
        return np.lib.stride_tricks.as_strided(storage[first - 1 :], sizes, steps)


def _key(key: Any) -> Any:
    """A Lua key as a dictionary key."""
    if isinstance(key, float):
        return int(key) if key.is_integer() else key
    # A boolean is wrapped too: in Python True equals 1.
    return key if isinstance(key, str) else Ref(key)
