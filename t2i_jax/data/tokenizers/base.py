"""What every tokenizer can do."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Tokenizer(Protocol):
    """Texts to fixed-length rows of ids and back.

    name: what `from_json` finds the class by.
    length: T, ids in a row; longer texts are cut at the end.
    vocab_size: ids are in [0, vocab_size).
    """

    name: str
    length: int

    @property
    def vocab_size(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids [N, T] int32 and mask [N, T] bool, True on tokens of the text."""
        ...

    def count(self, text: str) -> int:
        """Ids that the whole text has, before any cut."""
        ...

    def decode(self, ids: np.ndarray) -> list[str]:
        """Texts of ids [N, T], as far as ids keep them."""
        ...

    def unknown(self, text: str) -> list[str]:
        """The parts of a text that have no id, each once, in order of appearance."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The whole state, for `from_json`."""
        ...


def check_length(length: int) -> int:
    """`length` as given, or ValueError where it cannot be one."""
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise ValueError(f"tokenizer length: {length!r} is not a positive integer")
    return length


def padded(
    rows: Sequence[Sequence[int]], length: int, fill: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Ids [N, T] int32 of N rows of at most `length` ids, the rest `fill`; and the mask [N, T]
    bool, True on the rows' own ids.
    """
    ids = np.full((len(rows), length), fill, np.int32)
    mask = np.zeros(ids.shape, bool)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = True
    return ids, mask
