"""Features on disk, an image a row: metrics read them in blocks, and what a kill left is kept.

A store is a folder named by all that its features depend on. Rows are appended in the order of the
images, so that the length of a file says how many are done; a row that was being written when the
process was killed is cut off and made again. Several processes share one folder on a common disk:
each writes a stretch of its own.

Files are read with plain reads. A memory map of them would count as the process's memory.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

HEADER = "header.json"
BLOCK = 1024  # rows that are read at a time
_FLOAT = np.dtype("<f4")


def digest(identity: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of JSON types."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


class FeatureStore:
    """Rows of float32 in named layers.

    root: the folder of all stores; this one is the folder of its digest there.
    identity: all that the rows depend on, JSON types; kept beside them.
    count: rows in all. widths: numbers of a row, by layer.
    stretches: the processes that share the store.
    """

    def __init__(
        self,
        root: pathlib.Path,
        identity: Mapping[str, Any],
        count: int,
        widths: Mapping[str, int],
        stretches: int = 1,
    ):
        if count < 1 or not widths:
            raise ValueError(f"a store of {count} rows in {len(widths)} layers holds nothing")
        everything = {**identity, "count": count, "widths": dict(widths)}
        self.identity, self.count, self.widths = dict(identity), count, dict(widths)
        self.folder = root / digest(everything)
        bounds = [count * i // stretches for i in range(stretches + 1)]
        self.stretches = list(zip(bounds[:-1], bounds[1:], strict=True))
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / HEADER).exists():
            own = self.folder / f"{secrets.token_hex(8)}.tmp"  # processes may write it at once
            own.write_text(json.dumps(everything, indent=2) + "\n")
            own.replace(self.folder / HEADER)

    def done(self, stretch: int = 0) -> int:
        """How many rows of a stretch are whole in every layer."""
        start, stop = self.stretches[stretch]
        sizes = [self._size(layer, stretch) // self._bytes(layer) for layer in self.widths]
        return min(stop - start, *sizes)

    @property
    def complete(self) -> bool:
        """Whether every row is there."""
        return all(self.done(i) == b - a for i, (a, b) in enumerate(self.stretches))

    @contextlib.contextmanager
    def writing(self, stretch: int = 0, say: Callable[[str], None] = print) -> Iterator[None]:
        """Keeps other processes from writing to a stretch; waits, and says so, while one does."""
        with open(self._file("writer", stretch), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"another process is making the features in {self.folder}: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def append(self, rows: Mapping[str, np.ndarray], stretch: int = 0) -> None:
        """Adds rows [N, width] of every layer behind those that are done.

        Raises ValueError for rows of another shape, for more than are due, and for NaN or
        infinities: a generator that draws them, or a network that makes them, is broken.
        """
        at, (start, stop) = self.done(stretch), self.stretches[stretch]
        counts = {len(rows[layer]) for layer in self.widths}
        if len(counts) != 1 or at + max(counts) > stop - start:
            raise ValueError(f"{self.folder}: rows {counts} behind {at} of {stop - start}")
        for layer, width in self.widths.items():
            part = np.ascontiguousarray(rows[layer], _FLOAT)
            if part.shape[1:] != (width,):
                raise ValueError(f"{self.folder}: {layer} is {part.shape[1:]}, not ({width},)")
            if not np.isfinite(part).all():
                bad = start + at + int(np.flatnonzero(~np.isfinite(part).all(axis=1))[0])
                raise ValueError(f"the features {layer!r} of image {bad} are NaN or infinite")
            with open(self._file(layer, stretch), "ab") as file:
                file.truncate(at * self._bytes(layer))
                file.write(part.tobytes())

    def layer(self, name: str) -> "Rows":
        """The rows of a layer, for metrics. Raises ValueError where some are missing."""
        if not self.complete:
            done = sum(self.done(i) for i in range(len(self.stretches)))
            raise ValueError(f"{self.folder}: {done:,} of {self.count:,} rows are done")
        files = [self._file(name, i) for i in range(len(self.stretches))]
        return Rows(files, self.count, self.widths[name])

    def _bytes(self, layer: str) -> int:
        return self.widths[layer] * _FLOAT.itemsize

    def _file(self, layer: str, stretch: int) -> pathlib.Path:
        start, stop = self.stretches[stretch]
        return self.folder / f"{layer}.{start}-{stop}.f32"

    def _size(self, layer: str, stretch: int) -> int:
        file = self._file(layer, stretch)
        return os.path.getsize(file) if file.exists() else 0


class Rows:
    """Rows [N, width] of float32 that stay on disk, indexed by slices and by arrays of numbers.

    files: one stretch after the other.
    """

    def __init__(self, files: Sequence[pathlib.Path], count: int, width: int):
        self._files, self._count, self.width = files, count, width
        self._starts = np.cumsum([0, *(os.path.getsize(f) // (width * 4) for f in files)])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """float32 [n, width], in the order asked for."""
        if isinstance(rows, slice):
            rows = np.arange(self._count)[rows]
        rows = np.asarray(rows, np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self._count:
            raise IndexError(f"rows {rows.min()}..{rows.max()} of {self._count}")
        found = np.empty((len(rows), self.width), _FLOAT)
        for file, start, stop in zip(self._files, self._starts[:-1], self._starts[1:], strict=True):
            places = np.flatnonzero((start <= rows) & (rows < stop))
            if len(places):
                found[places] = self._read(file, rows[places] - start)
        return found

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """All rows in their order, at most `size` at a time."""
        return (self[start : start + size] for start in range(0, self._count, size))

    def _read(self, path: pathlib.Path, rows: np.ndarray) -> np.ndarray:
        """Of one file: what lies together is read at once."""
        found, order = np.empty((len(rows), self.width), _FLOAT), np.argsort(rows, kind="stable")
        ends = np.flatnonzero(np.diff(rows[order]) != 1) + 1
        with open(path, "rb") as file:
            for run in np.split(order, ends):
                file.seek(int(rows[run[0]]) * self.width * 4)
                data = file.read(len(run) * self.width * 4)
                found[run] = np.frombuffer(data, _FLOAT).reshape(len(run), self.width)
        return found
