"""What a prepared split holds, as digests of every record: data are known by their content.

A table is uint64 [N, 4]: of each record, in order, digests of what `COLUMNS` names. It lies beside
the records as ``content-<split>-<digest>.bin``, named by its own digest: a damaged one does not fit
its name, and is made anew. So is that of a set which was prepared before there were tables.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from etils import epath
from rich.console import Console

from t2i_jax.data.prepare_progress import track
from t2i_jax.data.prepared import PreparedSplit

COLUMNS = ("id", "image", "captions", "other")  # the last: class, box, vectors, file name, ...
_WORDS = ("", "the image", "the captions", "the class, box or another field")
_TYPE = np.dtype("<u8")


def table(split: PreparedSplit, console: Console | None = None) -> np.ndarray:
    """The table of a split: the one beside the records, else made by reading them all, and kept
    where the folder can be written to.

    console: where the progress of reading is shown; None shows none.
    """
    folder, name = epath.Path(split.info["path"]), split.info["split"]
    for path in folder.glob(f"content-{name}-*.bin"):
        data = path.read_bytes()
        kept = np.frombuffer(data[: len(data) // 32 * 32], _TYPE).reshape(-1, len(COLUMNS))
        if path.name == _filename(name, kept):
            return kept
    indices = track(range(len(split)), f"{split.info['name']} {name} read", len(split), console)
    rows = [_row(split[i]) for i in indices]
    made = np.frombuffer(b"".join(rows), _TYPE).reshape(-1, len(COLUMNS))
    with contextlib.suppress(OSError):
        (folder / _filename(name, made)).write_bytes(made.tobytes())
    return made


def digest(made: np.ndarray) -> str:
    """Of a whole table: 16 hexadecimal digits."""
    return hashlib.sha256(made.tobytes()).hexdigest()[:16]


def differences(old: np.ndarray, new: np.ndarray, name_of: Callable[[int], str]) -> list[str]:
    """In words, what became of the records of `old`; empty for equal tables.

    name_of: the name of a record of `new`, by its index.
    """
    _, was, now = np.intersect1d(old[:, 0], new[:, 0], return_indices=True)
    added = np.setdiff1d(np.arange(len(new)), now)
    lines = []
    if len(added):
        lines.append(f"{_records(len(added))} added, such as {name_of(int(added[0]))!r}")
    if len(was) < len(old):
        lines.append(f"{_records(len(old) - len(was))} removed")
    for column in range(1, len(COLUMNS)):
        changed = now[old[was, column] != new[now, column]]
        if len(changed):
            example = name_of(int(changed.min()))
            lines.append(f"{_WORDS[column]} of {_records(len(changed))} changed: {example!r}, ...")
    if (np.diff(was[np.argsort(now)]) < 0).any():
        lines.append("the order of the records changed")
    return lines


def _records(count: int) -> str:
    return f"{count:,} record" + ("s" if count > 1 else "")


def _filename(split: str, made: np.ndarray) -> str:
    return f"content-{split}-{digest(made)}.bin"


def _row(record: dict[str, Any]) -> bytes:
    other = {k: v for k, v in record.items() if k not in ("image/id", "image", "captions")}
    parts = (record["image/id"].encode(), record["image"], _json(record["captions"]), _json(other))
    return b"".join(hashlib.blake2b(part, digest_size=8).digest() for part in parts)


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=_plain).encode()


def _plain(value: Any) -> Any:
    """What JSON has no form for: arrays, NumPy's numbers and bytes."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [str(value.dtype), value.shape, value.tobytes().hex()]
    return value.hex() if isinstance(value, bytes) else value.tolist()
