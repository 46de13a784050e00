"""A user's own images: a folder with a ``captions.jsonl``, nothing else needed.

One JSON object a line:

    {"image": "red/01.jpg", "caption": "a red car"}
    {"image": "02.png", "captions": ["a car", "a blue one"], "class": "car", "box": [x, y, w, h]}

``image`` is relative to the folder. ``class`` (a name or number), ``box`` (pixels) and ``split``
("train" by default) may be left out.
"""

import json
import math
import pathlib
import re
from typing import Any

from t2i_jax.data.layouts import files
from t2i_jax.data.records import Box, Layout, Raw, Split, text_lines
from t2i_jax.data.report import DataError, Problem

LIST = "captions.jsonl"
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
FIELDS = ("image", "caption", "captions", "class", "box", "split")
FORMAT = (
    'write one line per image such as {"image": "01.jpg", "captions": ["a red car"]}; optional are '
    '"class", "box": [x, y, width, height] and "split"'
)


def read(source: pathlib.Path, no_captions: bool = False) -> Layout:
    """The splits of a folder.

    no_captions: images need no captions, nor the folder a list (then every image in it counts).

    Raises:
      MissingSource: no ``captions.jsonl`` where there must be one.
      DataError: a malformed split name.
    """
    layout = Layout({})
    present = sorted(
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.suffix.lower() in EXTENSIONS
    )
    if no_captions and not (source / LIST).exists():
        if not present:
            raise files.MissingSource(f"{source} has no images ({', '.join(EXTENSIONS)})")
        records = [Raw(id=n, filename=n, image=source / n, captions=()) for n in present]
        layout.splits["train"] = Split(records, len(records))
        return layout
    path = files.need(source, [LIST], "The list of captions", f"it is yours to make: {FORMAT}")
    rows = _rows(path, layout.problems)
    unlisted = len(set(present) - rows.keys())
    if unlisted:
        layout.notes.append(f"images in the folder that {LIST} does not name: {unlisted:,}")
    classes = _label_order({row["class"] for row in rows.values()} - {None})
    layout.label_names = [str(c) for c in classes]
    splits: dict[str, list[Raw]] = {}
    for name, row in rows.items():
        raw = Raw(
            id=name,
            filename=name,
            image=source / name,
            captions=row["captions"],
            label=classes.get(row["class"], -1),
            box=row["box"],
        )
        splits.setdefault(row["split"], []).append(raw)
    layout.splits = {split: Split(records, len(records)) for split, records in splits.items()}
    return layout


def _rows(path: pathlib.Path, problems: list[Problem]) -> dict[str, dict[str, Any]]:
    """{image: {"captions", "class", "box", "split"}}; lines of one image are merged."""
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(text_lines(path.read_bytes(), path.name, problems), 1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        row = _row(line, where, problems)
        if row is None:
            continue
        before = rows.setdefault(row.pop("image"), row)
        if before is row:
            continue
        if before["split"] != row["split"]:
            problems.append(Problem("skipped", "image", "duplicate id in two splits", where))
            continue
        problems.append(Problem("repaired", "image", "duplicate id: captions merged", where))
        before["captions"] = [*before["captions"], *row["captions"]]
    return rows


def _row(line: str, where: str, problems: list[Problem]) -> dict[str, Any] | None:
    def skip(reason: str) -> None:
        problems.append(Problem("skipped", "image", reason, where))

    try:
        data = json.loads(line)
    except ValueError:
        return skip("line is not valid JSON")
    if not isinstance(data, dict):
        return skip("line is not a JSON object")
    for field in sorted(data.keys() - set(FIELDS)):
        problems.append(Problem("kept", "list", f"unknown field {field!r} ignored", where))
    name = data.get("image")
    if not isinstance(name, str) or not name:
        return skip('field "image" is not a file name')
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or parts[0] in ("", "~") or ":" in parts[0]:
        return skip('field "image" points outside the folder')
    captions: list[str] = []
    for field in ("caption", "captions"):
        given = data.get(field) or []
        given = [given] if isinstance(given, str) else given
        if not isinstance(given, list) or not all(isinstance(c, str) for c in given):
            return skip(f"field {field!r} is not text")
        captions += given
    split = data.get("split", "train")
    if not isinstance(split, str) or not re.fullmatch(r"[A-Za-z]\w*", split, re.ASCII):
        raise DataError(f'{where}: the split {split!r} should be a word such as "train" or "test"')
    label = data.get("class")
    if label is not None and (isinstance(label, bool) or not isinstance(label, str | int)):
        return skip('field "class" is neither a name nor a number')
    return {
        "image": "/".join(part for part in parts if part != "."),
        "captions": captions,
        "class": label,
        "box": _box(data.get("box"), where, problems),
        "split": split,
    }


def _box(value: Any, where: str, problems: list[Problem]) -> Box | None:
    if value is None:
        return None
    numbers = isinstance(value, list) and len(value) == 4
    if numbers and all(isinstance(v, int | float) and math.isfinite(v) for v in value):
        return tuple(float(v) for v in value)
    problems.append(Problem("repaired", "box", "not four numbers: left out", where))
    return None


def _label_order(classes: set[str | int]) -> dict[str | int, int]:
    """{class: label}: numbers by size, then names by alphabet."""
    ordered = sorted(classes, key=lambda c: (isinstance(c, str), c))
    return {name: label for label, name in enumerate(ordered)}
