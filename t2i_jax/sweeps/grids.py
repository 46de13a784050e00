"""Entries for the ``sweep()`` of a sweep file: all combinations, and fields that move together.

    from t2i_jax.sweeps.grids import product, together

    def sweep():
        return product(
            {"optim.g.lr": (1e-4, 2e-4), "loss.g.kl": (0.0, 2.0)},
            together({"data.size": (64, 128), "generator.image_size": (64, 128)}),
        )

An entry is a flat dict of overrides, and its name: "lr=0.0001_kl=0_size=64" is the first of these.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Values = Mapping[str, Sequence[Any]]  # of every field, by its dotted name


def product(*parts: Values | Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """An entry for every combination; the first part varies slowest.

    parts: fields with all their values, or entries with names of their own. Names are joined.
    Raises ValueError where two parts set the same field, an entry has no name, or a field no list
    of values.
    """
    short = _short([field for part in parts if isinstance(part, Mapping) for field in part])
    axes: list[list[dict[str, Any]]] = []
    for part in parts:
        if not isinstance(part, Mapping):
            axes.append(_entries(part))
            continue
        _check(part, "product()")
        for field, values in part.items():
            titled = zip(_apart([_label(value) for value in values]), values, strict=True)
            axes.append([{"name": f"{short[field]}={x}", field: value} for x, value in titled])
    return [_merged(entries) for entries in itertools.product(*axes)]


def together(fields: Values) -> list[dict[str, Any]]:
    """An entry for the first value of every field, one for the second, and so on. The first fields
    that tell all entries apart give the names.

    Raises ValueError where the fields have not the same number of values, or one has none.
    """
    _check(fields, "together()")
    if not fields:
        raise ValueError("together() of no field: name fields with all their values")
    counts = {field: len(values) for field, values in fields.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"together() needs as many values of one field as of another: {counts}")
    short = _short(fields)
    names = [""] * next(iter(counts.values()))
    for field, values in fields.items():
        titles = [f"{short[field]}={_label(value)}" for value in values]
        names = ["_".join(filter(None, pair)) for pair in zip(names, titles, strict=True)]
        if len(set(names)) == len(names):
            break
    rows = zip(*fields.values(), strict=True)
    return [
        {"name": name, **dict(zip(fields, row, strict=True))}
        for name, row in zip(_apart(names), rows, strict=True)
    ]


def _check(fields: Values, what: str) -> None:
    for field, values in fields.items():
        if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
            raise ValueError(
                f"{what}: {field!r} has {values!r} in place of a list of its values: write "
                f"({values!r},)"
            )
        if not len(values):
            raise ValueError(f"{what}: {field!r} has no values")


def _entries(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, str) or not isinstance(part, Iterable):
        raise ValueError(f"product() of {part!r}: name fields with all their values, or entries")
    entries = list(part)
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise ValueError(f"product(): {entry!r} is no entry: write a dict with a name")
    return [dict(entry) for entry in entries]


def _merged(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {"name": ""}
    for entry in entries:
        if not entry.get("name"):
            raise ValueError(f"an entry without a name in a product: {dict(entry)}")
        if twice := merged.keys() & entry.keys() - {"name"}:
            raise ValueError(f"two parts of a product set {min(twice)!r}")
        name = "_".join(filter(None, (merged["name"], entry["name"])))
        merged |= {**entry, "name": name}
    return merged


def _short(fields: Iterable[str]) -> dict[str, str]:
    """The fewest last parts of every dotted name that no other one ends in."""
    split = {field: field.split(".") for field in fields}

    def ends(parts: list[str], count: int) -> int:
        return sum(other[-count:] == parts[-count:] for other in split.values())

    return {
        field: ".".join(
            next((parts[-n:] for n in range(1, len(parts)) if ends(parts, n) == 1), parts)
        )
        for field, parts in split.items()
    }


def _apart(names: list[str]) -> list[str]:
    """Names that are not all different, numbered."""
    if len(set(names)) == len(names):
        return names
    return [f"{name}-{i}" for i, name in enumerate(names)]


def _label(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "-".join(map(_label, value)) or "none"
    if isinstance(value, float):
        brief = f"{value:g}"
        return brief if float(brief) == value else repr(value)
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", str(value)).strip("-") or "none"
