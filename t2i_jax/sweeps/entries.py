"""What the ``sweep()`` of a sweep file gives, checked.

It may be an iterable of flat dicts of overrides, each with its "name" and perhaps "config", another
config file; or a dict of such iterables by name: named sub-sweeps. An entry of several sub-sweeps,
such as a baseline, is written in each of them and trained once.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from t2i_jax import config as configs
from t2i_jax import config_files

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One training of a grid, from whatever seed.

    name: its folder. overrides: values by dotted field. config: a config file in place of the
    command line's, or "". groups: the named sub-sweeps that it is of.
    """

    name: str
    overrides: Mapping[str, Any]
    config: str = ""
    groups: tuple[str, ...] = ()


def load(spec: str) -> list[Entry]:
    """The entries of ``"path/to/file.py"`` or ``"path/to/file.py:arg"``, or of a grid that comes
    with the package by its name, in their order.

    Raises FileNotFoundError for a missing file; ValueError, in one line, for whatever the file
    raises and for what is no grid.
    """
    path = configs.locate(spec, "sweep")[0]
    found = configs.call(spec, "sweep")
    groups = found if isinstance(found, Mapping) else {"": found}
    if isinstance(found, Mapping) and ("name" in found or not found):
        raise ValueError(f"the sweep() of {path} gives no list of entries, nor sub-sweeps by name")
    for group, members in groups.items():
        if isinstance(members, str) or not isinstance(members, Iterable):
            place = f"{path}, in {group!r}," if group else path
            raise ValueError(
                f"the sweep() of {place} gives {members!r}, which is no list of entries"
            )
    entries: dict[str, Entry] = {}
    for group, members in groups.items():
        if groups is found:
            _check_name(group, path, "a sub-sweep")
        with config_files.errors_of(path):  # a generator runs here
            members = list(members)
        names = set()
        for number, member in enumerate(members):
            entry = _entry(member, number, path, (group,) if group else ())
            if entry.name in names:
                raise ValueError(f"two entries of the sweep() of {path} are named {entry.name!r}")
            names.add(entry.name)
            entries[entry.name] = _joined(entries.get(entry.name), entry, path)
    if not entries:
        raise ValueError(f"the sweep() of {path} gives no entry")
    if both := entries.keys() & groups.keys():
        raise ValueError(f"{path}: {min(both)!r} is both an entry and a sub-sweep")
    return list(entries.values())


def choose(entries: Sequence[Entry], only: Iterable[str]) -> list[Entry]:
    """Those that `only` names, themselves or by a sub-sweep; ValueError for an unknown name."""
    only = list(only)
    known = {x for entry in entries for x in (entry.name, *entry.groups)}
    for name in only:
        if name not in known:
            hint = configs.suggest(name, known)
            raise ValueError(f"--only={name}: there is no such entry or sub-sweep{hint}")
    return [entry for entry in entries if {entry.name, *entry.groups} & set(only)]


def plain(value: Any) -> Any:
    """A value without NumPy's types; ValueError for what no field of a config can be."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple | list | np.ndarray):
        return tuple(plain(x) for x in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{value!r} is no value of a field: write a number, a text, a bool or a tuple")


def bare(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Values by field, without the "config." with which a command line may begin a field's name.
    ValueError where a field stands there twice.
    """
    found = {}
    for name, value in values.items():
        field = name.removeprefix("config.") if isinstance(name, str) else name
        if field in found:
            raise ValueError(f"{field!r} is set twice")
        found[field] = value
    return found


def _entry(member: Any, number: int, path: str, groups: tuple[str, ...]) -> Entry:
    if not isinstance(member, Mapping):
        raise ValueError(f"the sweep() of {path} gives no dicts of overrides by field")
    overrides = dict(member)
    name, config = overrides.pop("name", None), overrides.pop("config", "")
    if not isinstance(name, str) or not name:
        raise ValueError(f"entry {number} of the sweep() of {path} has no name")
    _check_name(name, path, "an entry")
    if not isinstance(config, str):
        raise ValueError(f"{path}: the config of {name!r} is no config file: {config!r}")
    try:
        overrides = bare(overrides)
    except ValueError as error:
        raise ValueError(f"{path}: {name!r}: {error}") from error
    if "seed" in overrides:
        raise ValueError(f"{path}: {name!r} sets the seed, which --seeds does")
    for field, value in overrides.items():
        if not isinstance(field, str):
            raise ValueError(f"{path}: {name!r} sets {field!r}, which is no field's name")
        try:
            overrides[field] = plain(value)
        except ValueError as error:
            raise ValueError(f"{path}: {name!r} sets {field!r}: {error}") from error
    return Entry(name, overrides, config, groups)


def _joined(known: Entry | None, entry: Entry, path: str) -> Entry:
    """An entry that other sub-sweeps have named before."""
    if known is None:
        return entry
    if (known.overrides, known.config) != (entry.overrides, entry.config):
        raise ValueError(
            f"{path}: {entry.name!r} of {known.groups[0]!r} is another training than that of "
            f"{entry.groups[0]!r}: give it another name"
        )
    return dataclasses.replace(known, groups=known.groups + entry.groups)


def _check_name(name: Any, path: str, what: str) -> None:
    if isinstance(name, str) and name.endswith(".log"):
        raise ValueError(f"{path}: {what} is named {name!r}, as logs are: leave out '.log'")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{path}: {what} is named {name!r}, which is to be a folder: write letters, digits, "
            "'_', '-', '.', '+' and '=' alone"
        )
