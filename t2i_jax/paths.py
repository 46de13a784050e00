"""Every path of runs and of data: a local one is pathlib's, one of a store (``gs://...``) is
etils.epath's.

`path` is the way from the user's text to either; pathlib alone would make a local folder ``gs:`` of
a store. Both have the same methods. Where stores differ, by errors of many types and without
appending, locks and memory maps, stand the functions below.
"""

import contextlib
import difflib
import functools
import importlib.util
import os
import pathlib
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

from etils import epath

Path = pathlib.Path | epath.Path
Named = str | os.PathLike  # what a user names a path with


class Store(NamedTuple):
    """What a protocol needs. package: for pip. login: how one gets in."""

    package: str
    login: str


STORES = {
    "gs": Store("t2i_jax[gcs]", "gcloud auth application-default login"),
    "s3": Store("s3fs", "aws configure"),
    "az": Store("adlfs", "az login"),
    "hf": Store("huggingface_hub", "hf auth login"),
}

# Without any slash only what begins like a store: a local name may hold a colon.
_PROTOCOL = re.compile(rf"([A-Za-z][\w+.-]*(?=:/)|{'|'.join(STORES)}):(?:/(/?))?(.*)", re.DOTALL)
_SHARE = 20  # an upload may take this part of the time


def text(what: str, value: Named) -> str:
    """A path that a Python program has given, as text. TypeError, which names `what` it is of, for
    anything else.
    """
    if not isinstance(value, Named) or not os.fspath(value):
        raise TypeError(f"{what} is {value!r}: a path is needed, as text or as pathlib.Path")
    return os.fspath(value)


def protocol(value: str | os.PathLike) -> str:
    """``"gs"`` of ``gs://bucket/run``; "" of a local path."""
    found = _PROTOCOL.match(os.fspath(value))
    return found[1] if found and found[2] else ""


def path(value: str | os.PathLike) -> Path:
    """The path that a text names.

    Raises ValueError, with the remedy, for a protocol that is unknown or whose package is missing,
    and for what would become a local folder of the protocol's name.
    """
    text = os.fspath(value)
    found = _PROTOCOL.match(text)
    if not found:
        return value if isinstance(value, pathlib.Path) else pathlib.Path(text)
    name, slash, rest = found.groups()
    if not slash:
        raise ValueError(
            f"{text}: write {name}://{rest} for a store; for a local folder, the whole path"
        )
    if name not in STORES:
        known = difflib.get_close_matches(name, STORES, n=1) or STORES
        raise ValueError(
            f"{text}: there is no protocol {name}://; write {', '.join(f'{k}://' for k in known)}, "
            "or a local folder without any"
        )
    if not rest.strip("/") or rest.startswith("/"):
        raise ValueError(f"{text}: it names no bucket; write {name}://BUCKET/FOLDER")
    try:
        _open_store(name)
    except ImportError as error:
        raise ValueError(
            f"{text}: {name}:// needs a package: pip install '{STORES[name].package}' ({error})"
        ) from error
    return epath.Path(text)


@functools.cache
def _open_store(name: str) -> None:
    """Raises ImportError where the protocol's package is missing."""
    if importlib.util.find_spec("tensorflow"):  # which epath then uses for every store
        return
    import fsspec

    fsspec.get_filesystem_class(name)
    # A list of files that is kept would hide what other processes, and TensorStore in this one,
    # have written since.
    for key in {"gs": ("gs", "gcs"), "s3": ("s3",)}.get(name, ()):
        fsspec.config.conf.setdefault(key, {}).setdefault("use_listings_cache", False)


def local(value: str | os.PathLike, what: str) -> pathlib.Path:
    """A path for what is read from local disks alone; ValueError for one of a store.

    what: lies there, for the message: "config files".
    """
    if protocol(value):
        raise ValueError(f"{value}: {what} lie on local disks only: name a path there")
    return path(value)


@contextlib.contextmanager
def told(path: str | os.PathLike) -> Iterator[None]:
    """Inside, whatever a store answers becomes an OSError of one line with path and remedy;
    FileNotFoundError stays one. Local errors are left as they are.
    """
    try:
        yield
    except Exception as error:
        if not (name := protocol(path)):
            raise
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(f"{path}: there is no such file, or no such bucket") from error
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise OSError(
            f"{path}: {why}. Check that the bucket is the right one, that this machine is logged "
            f"in ({STORES[name].login}), and that its account may do this there"
        ) from error


def exists(path: Path) -> bool:
    """Whether something is there. A store's refusal is an OSError; the path's own method takes it
    for a no.
    """
    if not protocol(path):
        return path.exists()
    try:
        with told(path):
            path.stat()
    except FileNotFoundError:
        return False
    return True


def read_bytes(path: Path) -> bytes:
    """The content of a file; errors as in `told`."""
    with told(path):
        return path.read_bytes()


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file, on a store whole or not at all; errors as in `told`."""
    with told(path):
        path.write_bytes(data)


def folder(value: str | os.PathLike) -> Path:
    """The folder that a text names, made where there is none; errors as in `path` and `told`, and
    NotADirectoryError where a file is in its place or in that of a folder above it.
    """
    made = path(value)
    try:
        with told(made):
            made.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(f"{made}: a file is in the way; name another folder") from None
    return made


@contextlib.contextmanager
def on_disk(path: Path) -> Iterator[pathlib.Path]:
    """A local file for libraries that open nothing else: `path` itself, or a copy that goes with
    the context.
    """
    if not protocol(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as place:
        copy = pathlib.Path(place) / path.name
        with told(path), path.open("rb") as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 24)
        yield copy


class Lines:
    """A text file that grows by lines, from what it holds.

    On a local disk a line is there when `add` returns. Stores cannot append: every upload is the
    whole text. They are at least a second apart and take a twentieth of the time at most; `sync`
    and `close` upload what is left.
    """

    def __init__(self, path: Path):
        self._path, self._file = path, None
        if not protocol(path):
            self._file = open(path, "a", encoding="utf-8")
            return
        self._text = [read_bytes(path)] if exists(path) else []
        self._next, self._waiting = 0.0, False

    def add(self, line: str) -> None:
        """Appends a line, given without its end."""
        if self._file:
            self._file.write(f"{line}\n")
            self._file.flush()
            return
        self._text.append(f"{line}\n".encode())
        self._waiting = True
        if time.monotonic() >= self._next:
            self.sync()

    def sync(self) -> None:
        """Returns when every line is where others can read it."""
        if self._file or not self._waiting:
            return
        began = time.monotonic()
        write_bytes(self._path, b"".join(self._text))
        ended = time.monotonic()
        self._next, self._waiting = ended + max(1.0, _SHARE * (ended - began)), False

    def close(self) -> None:
        """Ends with `sync`."""
        self.sync()
        if self._file:
            self._file.close()
