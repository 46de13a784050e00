"""One writer for a directory: a lock that ends with the process that holds it."""

import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import secrets
import socket
import sys
import time
from collections.abc import Iterator

from t2i_jax import paths

FILE = "owner.json"


class OwnedError(OSError):
    """Another process writes in this directory."""


class Owner:
    """Holds a directory, which is made if need be, until `close` or the end of the process. Also a
    context manager.

    The lock is the kernel's on ``owner.json``, which says who holds it: what a killed process left
    is no lock any more.

    what: what the caller does there, for messages: "a training".
    unlocked: why nothing is locked, in words, where the file system has no locks; else "".

    Raises OwnedError naming host, process and time of the one who holds it.
    """

    def __init__(self, directory: str | os.PathLike, what: str):
        self.path = paths.folder(directory) / FILE
        self.unlocked = ""
        self._file = open(self.path, "a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _who(self.path)
            self._file.close()
            raise OwnedError(
                f"{directory} is in use by {holder}. Stop that first, or name another directory"
            ) from None
        except OSError as error:
            self.unlocked = f"{directory}: this file system has no locks ({error.strerror})"
        self._file.truncate(0)
        self._file.write(_me(what))
        self._file.flush()

    def check(self) -> None:
        """Raises FileNotFoundError where the directory has been removed, renamed or replaced."""
        try:
            same = os.path.samestat(os.stat(self.path), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            same = False
        if not same:
            raise _gone(self.path)

    def __enter__(self) -> "Owner":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Lets another have the directory."""
        self._file.close()


class StoreOwner(Owner):
    """The same on a store, which has no locks: ``owner.json`` says who came last, and `check` finds
    out that another has come since.

    Raises OSError where nothing can be written there.
    """

    def __init__(self, directory: str | os.PathLike, what: str):
        self.path = paths.path(directory) / FILE
        self.unlocked = f"{directory}: a store has no locks"
        self._mine = _me(what).encode()
        paths.write_bytes(self.path, self._mine)

    def check(self) -> None:
        """As on a local disk, and OwnedError where another has come since."""
        try:
            found = paths.read_bytes(self.path)
        except FileNotFoundError:
            raise _gone(self.path) from None
        if found != self._mine:
            raise OwnedError(
                f"{self.path.parent} was taken over by {_who(self.path)}. This process leaves it; "
                "name another directory"
            )

    def close(self) -> None:
        """Does nothing: the file says who was there last."""


def take(directory: str | os.PathLike, what: str) -> Owner:
    """The owner of a directory, local or of a store; errors as there."""
    return (StoreOwner if paths.protocol(directory) else Owner)(directory, what)


def is_owned(directory: str | os.PathLike) -> bool:
    """Whether a process holds the directory; of a store, which has no locks, False."""
    path = paths.path(directory) / FILE
    if paths.protocol(directory) or not path.exists():
        return False
    with open(path, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _me(what: str) -> str:
    me = {
        "what": what,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": datetime.datetime.now().isoformat(timespec="seconds"),
        "command": sys.argv,
        "token": secrets.token_hex(8),
    }
    return json.dumps(me, indent=2) + "\n"


def _gone(path: paths.Path) -> FileNotFoundError:
    return FileNotFoundError(
        f"{path.parent} was removed, renamed or replaced by something else while it was in use: "
        "what is not saved elsewhere is lost. Start again, in a directory that is left alone"
    )


def _who(path: paths.Path) -> str:
    """In words, who holds the lock; its owner may be writing that at this moment."""
    for _ in range(20):
        try:
            found = json.loads(paths.read_bytes(path))
            return (
                f"{found['what']} since {found['since']}: process {found['process']} on "
                f"{found['host']}"
            )
        except (ValueError, KeyError):
            time.sleep(0.05)
    return "another process"


@contextlib.contextmanager
def turn(path: pathlib.Path) -> Iterator[None]:
    """Waits until no other process is inside with the same local file, which is made if need be.
    Where the file system has no locks, nobody waits.
    """
    with path.open("a") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
