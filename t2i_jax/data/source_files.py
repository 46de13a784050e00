"""Files of a source: which are data at all, reading one, and its name as text."""

import os
import pathlib
import stat

LARGEST = 1 << 30  # bytes; no picture or list of captions comes near

# What systems leave beside data, with all that begins with a dot (.DS_Store, ._a.jpg, ...).
_LITTER = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}


class Unreadable(ValueError):
    """A file cannot be read; the message says why and follows "the file ..."."""


def hidden(name: str) -> bool:
    """Whether a file or folder of that name is a system's own and no data."""
    return name.startswith(".") or name.lower() in _LITTER


def read(path: pathlib.Path) -> bytes:
    """The contents of a file. Raises Unreadable."""
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
            return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise Unreadable("missing") from None
    except OSError as error:
        raise Unreadable(f"unreadable: {error.strerror}") from None
    except ValueError:  # a zero character, or one that no file's name can have
        raise Unreadable("missing") from None
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("is no regular file")
    raise Unreadable("is larger than 1 GiB")


def file_text(name: str) -> str:
    """A file's name as text: bytes that are not UTF-8 are written out, caf\\xe9.jpg."""
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a character that no file's name can have
        return name.encode("utf-8", "backslashreplace").decode("utf-8")
