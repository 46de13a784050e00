"""What the layouts of a user's own images share: a row for every image, and the layout of them."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from t2i_jax.data.layouts import files
from t2i_jax.data.layouts.own import splits
from t2i_jax.data.layouts.own.columns import Columns
from t2i_jax.data.orientation import Box
from t2i_jax.data.records import Layout, Raw, Split
from t2i_jax.data.report import Problem
from t2i_jax.data.values import is_nothing, whole_number, whole_text


@dataclasses.dataclass
class Row:
    """What a layout says of an image. Fields as in `t2i_jax.data.records.Raw`, but for label: a
    class's name or number.
    """

    image: pathlib.Path | Callable[[], bytes]
    captions: list[str] | pathlib.Path
    label: str | int | None = None
    box: Box | None = None
    split: str = "train"
    where: str = ""


Rows = dict[str, Row]  # by the image's name


def described(
    data: Mapping[str, Any],
    columns: Columns,
    image: pathlib.Path | Callable[[], bytes],
    split: str,
    where: str,
    problems: list[Problem],
) -> Row | None:
    """A row from the fields of a list; None, with a problem, where one cannot be meant."""

    def skip(reason: str) -> None:
        problems.append(Problem("skipped", "image", reason, where))

    captions: list[str] = []
    for field in columns.captions:
        given = data.get(field)
        given = given if isinstance(given, list) else [given]
        given = [c for c in given if isinstance(c, str) or not is_nothing(c)]
        if not all(isinstance(c, str) for c in given):
            return skip(f"field {field!r} is not text")
        captions += given
    try:
        label = _class(data.get(columns.label))
    except ValueError:
        return skip(f'field "{columns.label}" is neither a name nor a number')
    return Row(image, captions, label, _box(data.get(columns.box), where, problems), split, where)


def add(rows: Rows, name: str, row: Row, problems: list[Problem]) -> None:
    """Adds a row. A further one of an image adds to what is known of it."""
    before = rows.setdefault(name, row)
    if before is row:
        return
    if before.split != row.split:
        problems.append(Problem("skipped", "image", "duplicate id in two splits", row.where))
        return
    problems.append(Problem("repaired", "image", "duplicate id: captions merged", row.where))
    before.captions = [*before.captions, *row.captions]
    for field, word in (("label", "class"), ("box", "box")):
        old, new = getattr(before, field), getattr(row, field)
        if old is None:
            setattr(before, field, new)
        elif new not in (None, old):
            reason = f"duplicate id with another {word}: the first counts"
            problems.append(Problem("repaired", "image", reason, row.where))


def fill(layout: Layout, rows: Rows) -> None:
    """Gives a layout the splits and classes of these rows."""
    labels = _label_order({row.label for row in rows.values()} - {None})
    layout.label_names = [str(name) for name in labels]
    found: dict[str, list[Raw]] = {}
    for name, row in rows.items():
        raw = Raw(
            id=name,
            filename=name,
            image=row.image,
            captions=row.captions,
            label=labels.get(row.label, -1),
            box=row.box,
            where=row.where,
        )
        found.setdefault(row.split, []).append(raw)
    layout.splits = {split: Split(raws, len(raws)) for split, raws in found.items()}


def split_of(data: Mapping[str, Any], columns: Columns, otherwise: str, where: str) -> str:
    """The split that the field names, else another. Raises DataError; see `splits.translated`."""
    value = data.get(columns.split)
    return otherwise if is_nothing(value) else splits.translated(value, where)


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


def _box(value: Any, where: str, problems: list[Problem]) -> Box | None:
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
