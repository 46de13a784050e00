"""The numbers of a run and what each was measured under: one line of JSON each in
``RUN/evaluation/results.jsonl``.
"""

import dataclasses
import datetime
import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from t2i_jax import paths
from t2i_jax.versions import versions

PACKAGES = (
    *("t2i_jax", "jax", "jaxlib", "flax", "numpy", "scipy"),
    *("pillow", "opencv-python-headless"),
)
FOLDER = "evaluation"  # of a run
FILE = "results.jsonl"
OF_REAL = "_of_real"  # ends the name of the same number of real images in the samples' place


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One evaluation.

    protocol: its name fixes every number of it; numbers of different protocols are never compared.
    step: of the checkpoint; None for images without one.
    values: finite numbers by name, None for one that has no meaning here.
    lower_is_better: names of those values.
    spreads: the deviation over splits or subsets of those values that have one.
    conditions: all that the numbers depend on: samples, seed, split, caption rule, resizing,
        extractor and digest of its weights, truncation. JSON types. "run" says which run and
        checkpoint, "packages", which `append` adds, the versions.
    """

    protocol: str
    step: int | None
    values: Mapping[str, float | None]
    conditions: Mapping[str, Any]
    lower_is_better: Sequence[str] = ()
    spreads: Mapping[str, float] = dataclasses.field(default_factory=dict)
    time: str = ""


def packages() -> dict[str, str]:
    """Versions of what numbers depend on."""
    return versions(PACKAGES)


def append(folder: str | os.PathLike, record: Record) -> None:
    """Adds a record to those of a folder, which is made, with the time and the versions."""
    record = dataclasses.replace(record, conditions={**record.conditions, "packages": packages()})
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    path = paths.folder(folder) / FILE
    line = json.dumps(dataclasses.asdict(dataclasses.replace(record, time=now)), allow_nan=False)
    if paths.protocol(path):  # nothing can be appended there
        before = paths.read_bytes(path) if paths.exists(path) else b""
        paths.write_bytes(path, before + line.encode() + b"\n")
        return
    with open(path, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two evaluations may end at once
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                line = "\n" + line  # what a kill cut short stays a line of its own
        file.write(line.encode() + b"\n")


def read(folder: str | os.PathLike) -> tuple[list[Record], list[int]]:
    """(the records of a folder in the order of their making, numbers of damaged lines)."""
    path = paths.path(folder) / FILE
    records, damaged = [], []
    lines = paths.read_bytes(path).splitlines() if paths.exists(path) else []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(Record(**json.loads(line)))
        except (ValueError, TypeError):
            damaged.append(number)
    return records, damaged
