"""Text files as other programs write them: UTF-8 or UTF-16, with a byte order mark or without.

A line ends at "\\n" alone; a "\\r" before it is no part of the line. The other characters that
Unicode calls line ends (U+2028, U+0085, "\\x0b", ...) occur inside captions and names.
"""

import codecs
import json
import pathlib
from typing import Any, TextIO

from t2i_jax import paths
from t2i_jax.data.report import Problem

_HEAD = 4096  # bytes that tell the encoding
# UTF-32's little-endian mark begins with UTF-16's. Python's "utf-16" and "utf-32" read the mark.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding(head: bytes) -> str:
    """The codec of a text by its first bytes: by its mark, else UTF-16 where every second byte of
    many is zero, else UTF-8.
    """
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return codec
    first, second = head[0::2].count(0), head[1::2].count(0)
    if max(first, second) >= max(1, len(head) // 8) and 8 * min(first, second) <= len(head) // 2:
        return "utf-16-le" if second > first else "utf-16-be"
    return "utf-8-sig"


def decode(data: bytes, where: str, problems: list[Problem]) -> str:
    """The text of a file; bytes that are not of its encoding become U+FFFD.

    where: the file's name, for the problems.
    """
    codec = encoding(data[:_HEAD])
    name = codec[:6].removesuffix("-").upper()
    if codec != "utf-8-sig":
        problems.append(Problem("kept", "list", f"{name} text", where))
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        problems.append(Problem("repaired", "list", f"not {name}", where))
        return data.decode(codec, errors="replace")


def text_lines(data: bytes, where: str, problems: list[Problem]) -> list[str]:
    """The lines of a text file; see `decode`. Windows line ends are repaired."""
    lines = decode(data, where, problems).split("\n")
    if lines[-1] == "":
        del lines[-1]
    if any(line.endswith("\r") for line in lines):
        problems.append(Problem("repaired", "list", "Windows line ends", where))
        lines = [line.removesuffix("\r") for line in lines]
    return lines


def open_text(path: pathlib.Path) -> TextIO:
    """A text file too large to be read at once, as a stream of lines that end at "\\n" alone."""
    with path.open("rb") as file:
        codec = encoding(file.read(_HEAD))
    return path.open(encoding=codec, errors="replace", newline="\n")


def caption_lines(path: str) -> list[str]:
    """The lines of a user's file of captions, without blanks around them and without empty ones.

    A byte that is not of the file's encoding becomes U+FFFD, which the sampler reports as unknown.
    """
    lines = text_lines(paths.read_bytes(paths.path(path)), path, [])
    return [line.strip() for line in lines if line.strip()]


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
      ValueError: it is none, nested deeper than Python can read, or has a number of thousands of
        digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
