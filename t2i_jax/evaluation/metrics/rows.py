"""How metrics read features: by rows, in float64, finite."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np


class Rows(Protocol):
    """Features [N, D] that may stay on disk: an array, a memory map, or what else is indexed by
    rows as these are.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray: ...


def finite(features: Any, what: str, first: int = 0) -> np.ndarray:
    """The same numbers as float64 [N, D].

    what: they are, for the message: "features". first: the number of the first row in it.

    Raises ValueError for another shape, and for NaN or infinity, naming the row.
    """
    x = np.asarray(features).astype(np.float64)
    if x.ndim != 2:
        raise ValueError(f"{what}: an array [rows, width] is needed, not one of shape {x.shape}")
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{what}: row {first + bad[0]} holds NaN or infinity ({len(bad)} of {len(x)} rows here "
            "do); the image or the network that made it is at fault"
        )
    return x


def blocks(count: int, size: int) -> Iterator[slice]:
    """Parts of so many rows, in order."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def same_width(a: np.ndarray, b: np.ndarray, what: str) -> None:
    """Raises ValueError where rows of two sets have different widths."""
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"{what}: widths {a.shape[-1]} and {b.shape[-1]} differ; both sets need the features "
            "of one layer of one network"
        )
