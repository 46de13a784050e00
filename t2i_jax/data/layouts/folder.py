"""A user's own images: a folder with a ``captions.jsonl``, nothing else needed.

One JSON object a line:

    {"image": "red/01.jpg", "caption": "a red car"}
    {"image": "02.png", "captions": ["a car", "a blue one"], "class": "car", "box": [x, y, w, h]}

``image`` is relative to the folder. ``class`` (a name or number), ``box`` (pixels of the file,
before its orientation tag turns it) and ``split`` ("train" by default) may be left out or null.
"""

import difflib
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from t2i_jax.data import source_files
from t2i_jax.data.layouts import files
from t2i_jax.data.records import Layout, Raw, Split
from t2i_jax.data.report import DataError, Problem
from t2i_jax.data.text_files import parse_json, text_lines
from t2i_jax.data.values import is_nothing, whole_number, whole_text

LIST = "captions.jsonl"
EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".jp2", ".avif"),
)
FIELDS = ("image", "caption", "captions", "class", "box", "split")
SPLITS = ("train", "val", "test")
FORMAT = (
    'write one line per image such as {"image": "01.jpg", "captions": ["a red car"]}; optional are '
    '"class", "box": [x, y, width, height] and "split"'
)
_LONGEST_SPLIT = 40  # characters; files are named after splits
_SYNONYMS = {
    "training": "train",
    "validation": "val",
    "valid": "val",
    "dev": "val",
    "testing": "test",
}


def read(source: pathlib.Path, no_captions: bool = False) -> Layout:
    """The splits of a folder.

    no_captions: images need no captions, nor the folder a list (then every image in it counts).

    Raises:
      MissingSource: no ``captions.jsonl`` where there must be one.
      DataError: a malformed or misspelt split name.
    """
    layout = Layout({})
    present = sorted(_images(source, layout.problems))
    if no_captions and not files.is_file(source / LIST):
        if not present:
            raise files.MissingSource(f"{source} has no images ({', '.join(EXTENSIONS)})")
        records = [Raw(id=n, filename=n, image=source / n, captions=()) for n in present]
        layout.splits["train"] = Split(records, len(records))
        return layout
    path = files.need(source, [LIST], "The list of captions", f"it is yours to make: {FORMAT}")
    rows = _rows(path, present, layout.problems)
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
            where=row["where"],
        )
        splits.setdefault(row["split"], []).append(raw)
    layout.splits = {split: Split(records, len(records)) for split, records in splits.items()}
    return layout


def _images(source: pathlib.Path, problems: list[Problem]) -> Iterator[str]:
    """The image files in a folder and the folders in it, linked ones too."""

    def unreadable(error: OSError) -> None:
        reason = f"folder unreadable: {error.strerror}"
        problems.append(Problem("skipped", "list", reason, str(error.filename)))

    seen: set[str] = set()
    for root, folders, names in os.walk(source, onerror=unreadable, followlinks=True):
        place = os.path.realpath(root)
        folders[:] = sorted(f for f in folders if not source_files.hidden(f) and place not in seen)
        if place in seen:  # a link back, or a second one to the same folder
            continue
        seen.add(place)
        for name in names:
            path = pathlib.Path(root, name)
            if path.suffix.lower() in EXTENSIONS and not source_files.hidden(name):
                yield str(path.relative_to(source))


def _rows(
    path: pathlib.Path, present: list[str], problems: list[Problem]
) -> dict[str, dict[str, Any]]:
    """{image: {"captions", "class", "box", "split", "where"}}; lines of one image are merged.

    present: the images in the folder; a list may spell their names in another form of Unicode.
    """
    spelt = {unicodedata.normalize("NFC", name): name for name in present}
    spelt |= {name: name for name in present}
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(text_lines(path.read_bytes(), path.name, problems), 1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        row = _row(line, path.parent, where, problems)
        if row is None:
            continue
        name = row.pop("image")
        name = spelt.get(name) or spelt.get(unicodedata.normalize("NFC", name), name)
        before = rows.setdefault(name, row)
        if before is not row:
            _merge(before, row, where, problems)
    return rows


def _merge(before: dict, row: dict, where: str, problems: list[Problem]) -> None:
    """Adds a further line of an image to what is known of it."""
    if before["split"] != row["split"]:
        problems.append(Problem("skipped", "image", "duplicate id in two splits", where))
        return
    problems.append(Problem("repaired", "image", "duplicate id: captions merged", where))
    before["captions"] = [*before["captions"], *row["captions"]]
    for field in ("class", "box"):
        if before[field] is None:
            before[field] = row[field]
        elif row[field] not in (None, before[field]):
            reason = f"duplicate id with another {field}: the first counts"
            problems.append(Problem("repaired", "image", reason, where))


def _row(
    line: str, source: pathlib.Path, where: str, problems: list[Problem]
) -> dict[str, Any] | None:
    def skip(reason: str) -> None:
        problems.append(Problem("skipped", "image", reason, where))

    try:
        data = parse_json(line)
    except ValueError:
        return skip("line is not valid JSON")
    if not isinstance(data, dict):
        return skip("line is not a JSON object")
    for field in sorted(data.keys() - set(FIELDS)):
        problems.append(Problem("kept", "list", f"unknown field {field!r} ignored", where))
    name = data.get("image")
    if not isinstance(name, str) or is_nothing(name):
        return skip('field "image" is not a file name')
    name = _file_name(name, source)
    if name is None:
        return skip('field "image" points outside the folder')
    captions: list[str] = []
    for field in ("caption", "captions"):
        given = data.get(field)
        given = given if isinstance(given, list) else [given]
        given = [c for c in given if isinstance(c, str) or not is_nothing(c)]
        if not all(isinstance(c, str) for c in given):
            return skip(f"field {field!r} is not text")
        captions += given
    try:
        label = _class(data.get("class"))
    except ValueError:
        return skip('field "class" is neither a name nor a number')
    return {
        "image": name,
        "captions": captions,
        "class": label,
        "box": _box(data.get("box"), where, problems),
        "split": _split(data.get("split"), where),
        "where": where,
    }


def _file_name(name: str, source: pathlib.Path) -> str | None:
    """The image's name below the folder, as it is there, as written on Windows, or with the path
    of the folder before it; None if it points outside.
    """
    if name.startswith("/"):
        folders = (f"{folder}/" for folder in (source.absolute(), os.path.realpath(source)))
        name = next((name.removeprefix(f) for f in folders if name.startswith(f)), name)
    as_is = files.inside(name)
    if "\\" not in name or (as_is is not None and os.path.lexists(source / as_is)):
        return as_is
    return None if re.match(r"[A-Za-z]:", name) else files.inside(name.replace("\\", "/"))


def _class(value: Any) -> str | int | None:
    """A class's name or number: 1, 1.0, "1" and "1.0" are one class. Raises ValueError."""
    if is_nothing(value):
        return None
    number = whole_number(value)
    # "007" is a name: so many digits were meant.
    if number is not None and not (isinstance(value, str) and re.match(r"\s*([+]|-?0\d)", value)):
        return number
    if not isinstance(value, str):
        raise ValueError(value)
    return " ".join(whole_text(value).split())


def _split(value: Any, where: str) -> str:
    if is_nothing(value):
        return "train"
    name = value.strip().lower() if isinstance(value, str) else ""
    if not re.fullmatch(r"[a-z]\w*", name, re.ASCII) or len(name) > _LONGEST_SPLIT:
        raise DataError(f'{where}: the split {value!r} should be a word such as "train" or "test"')
    if name == "all":
        raise DataError(f"{where}: the split {value!r} means all splits together; name another")
    if name in _SYNONYMS:
        raise DataError(f"{where}: unknown split {value!r}; did you mean {_SYNONYMS[name]!r}?")
    near = difflib.get_close_matches(name, SPLITS, 1, cutoff=0.8) if name.isalpha() else []
    if near and name not in SPLITS:
        raise DataError(f"{where}: unknown split {value!r}; did you mean {near[0]!r}?")
    return name


def _box(value: Any, where: str, problems: list[Problem]) -> tuple | None:
    if isinstance(value, str):  # a list as text, from a table
        value = re.sub(r"[\[\](),;]", " ", value).split()
    if is_nothing(value) or (isinstance(value, list) and all(map(is_nothing, value))):
        return None
    box = files.box(value) if isinstance(value, list) else None
    if box is None:
        problems.append(Problem("repaired", "box", "not four numbers: left out", where))
    return box


def _label_order(classes: set[str | int]) -> dict[str | int, int]:
    """{class: label}: numbers by size, then names by alphabet."""
    ordered = sorted(classes, key=lambda c: (isinstance(c, str), c))
    return {name: label for label, name in enumerate(ordered)}
