"""Finding and reading the files of a layout: what the readers of all data sets share."""

import os
import pathlib
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from t2i_jax.data import pickles, source_files
from t2i_jax.data.report import DataError, Problem
from t2i_jax.data.text_files import decode, parse_json, text_lines
from t2i_jax.data.values import number, whole_number


class MissingSource(DataError, FileNotFoundError):
    """The source folder lacks something; the message lists what was looked for and where to get
    it.
    """


def under(prefixes: Iterable[str], names: Iterable[str]) -> list[str]:
    """Every name below every prefix ("" for the source itself), prefixes first."""
    return [f"{p}/{n}" if p else n for p in prefixes for n in names]


def is_file(path: pathlib.Path) -> bool:
    """Whether there is a file with something in it; an empty one is as good as none."""
    return path.is_file() and path.stat().st_size > 0


def is_folder(path: pathlib.Path) -> bool:
    """Whether there is a folder with something in it that is data; see `is_file`."""
    if not path.is_dir():
        return False
    with os.scandir(path) as entries:
        return any(not source_files.hidden(entry.name) for entry in entries)


def find(source: pathlib.Path, candidates: Iterable[str]) -> pathlib.Path | None:
    """The first of the candidate paths below `source` that is a file, see `is_file`."""
    return next((source / c for c in candidates if is_file(source / c)), None)


def need(source: pathlib.Path, candidates: Sequence[str], what: str, get: str) -> pathlib.Path:
    """Like `find`, but a file that must be there.

    what: what it is, for the message. get: where to get it.

    Raises:
      MissingSource: none of the candidates exists.
    """
    return _need(source, candidates, what, get, is_file)


def need_folder(
    source: pathlib.Path, candidates: Sequence[str], what: str, get: str
) -> pathlib.Path:
    """The same for a folder with something in it."""
    return _need(source, candidates, what, get, is_folder)


def _need(
    source: pathlib.Path,
    candidates: Sequence[str],
    what: str,
    get: str,
    is_there: Callable[[pathlib.Path], bool],
) -> pathlib.Path:
    for path in (source / c for c in candidates):
        if is_there(path):
            return path
    looked = "\n".join(f"  {source / c}{_state(source / c)}" for c in candidates)
    raise MissingSource(f"{what} not found. Looked for\n{looked}\nWhere to get it: {get}")


def _state(path: pathlib.Path) -> str:
    """Why a path that is there was not taken, in brackets."""
    if path.is_dir():
        return " (a folder)" if is_folder(path) else " (an empty folder)"
    if path.is_file():
        return " (a file)" if is_file(path) else " (an empty file)"
    return " (a link that leads nowhere)" if path.is_symlink() else ""


def entries(folder: pathlib.Path, suffix: str) -> list[str]:
    """The names of a folder's files with this suffix, sorted; what systems leave there is none."""
    return sorted(
        p.name
        for p in folder.iterdir()
        if p.suffix == suffix and not source_files.hidden(p.name) and p.is_file()
    )


def inside(name: str) -> str | None:
    """A relative path in its shortest form; None where it leads out of its folder."""
    if name.startswith("/"):
        return None
    name = posixpath.normpath(name)
    return None if name == ".." or name.startswith("../") else name


def lines(path: pathlib.Path, problems: list[Problem]) -> list[str]:
    """The non-empty lines of a list file, stripped."""
    found = text_lines(path.read_bytes(), path.name, problems)
    return [line.strip() for line in found if line.strip()]


def table(path: pathlib.Path, columns: int, problems: list[Problem]) -> dict[str, list[str]]:
    """A file of "<id> <column> ..." lines as {id: [column, ...]}. The last column may have blanks
    in it. Lines with fewer columns, and ids that have been before, are reported.
    """
    rows: dict[str, list[str]] = {}
    for place, line in enumerate(text_lines(path.read_bytes(), path.name, problems), 1):
        if not line.strip():
            continue
        where = f"{path.name}:{place}"
        key, *rest = line.strip().split(None, columns)
        if len(rest) != columns:
            reason = f"line without {columns + 1} columns"
            problems.append(Problem("skipped", "list", reason, where))
            continue
        key = str(whole_number(key) or key)
        if key in rows:
            reason = "duplicate id" if rows[key] == rest else CONTRADICTION
            problems.append(Problem("skipped", "list", reason, where))
            continue
        rows[key] = rest
    return rows


CONTRADICTION = "duplicate id with other values: the first counts"


def unique(names: Iterable[str | Problem], where: str, problems: list[Problem]) -> list[int]:
    """Positions of the names that have not occurred before; the others are reported."""
    seen: set[str] = set()
    kept = []
    for i, name in enumerate(names):
        if name in seen:
            problems.append(Problem("skipped", "image", "duplicate id", f"{where}: {name}"))
            continue
        if isinstance(name, str):
            seen.add(name)
        kept.append(i)
    return kept


def check_disjoint(classes: Mapping[str, set[int]], names: Sequence[str]) -> None:
    """Raises DataError where a class (0-based) is in several splits that promise disjoint ones."""
    splits = list(classes)
    for i, first in enumerate(splits):
        for second in splits[i + 1 :]:
            if shared := sorted(classes[first] & classes[second]):
                some = ", ".join(": ".join((str(k + 1), *names[k : k + 1])) for k in shared[:5])
                raise DataError(
                    f"the splits {first!r} and {second!r} share {len(shared)} classes, such as "
                    f"{some}: a test on classes that were trained on is none. Correct the lists of "
                    'classes, or ask for the data set\'s own split with split_kind "official"'
                )


def optional_json(path: pathlib.Path | None, problems: list[Problem]) -> dict[str, Any]:
    """The object of a JSON file that is not needed; {}, reported, where it is none."""
    if path is None:
        return {}
    try:
        value = parse_json(decode(path.read_bytes(), path.name, problems))
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    problems.append(Problem("skipped", "list", "not a JSON object", path.name))
    return {}


def box(columns: Sequence[Any]) -> tuple[float, float, float, float] | None:
    """Four numbers as a box, or None."""
    values = [number(v) for v in columns]
    return tuple(values) if len(values) == 4 and None not in values else None


def pickled_names(path: pathlib.Path) -> list[str | Problem]:
    """A ``filenames.pickle`` of the StackGAN family: relative image names without extension, and a
    `Problem` in place of what is none.

    Raises:
      DataError: it holds no list.
    """
    names = pickles.load(path)
    if not isinstance(names, list | tuple):
        raise DataError(f"{path}: expected a list of file names, found {type(names).__name__}")
    found: list[str | Problem] = []
    for place, name in enumerate(names, 1):
        where = f"{path.parent.name}/{path.name}:{place}"
        if not isinstance(name, str) or not name:
            found.append(Problem("skipped", "record", "not a file name", where))
        elif (short := inside(name)) is None:
            reason = "name points outside the data set"
            found.append(Problem("skipped", "record", reason, where))
        else:
            found.append(short.removesuffix(".jpg"))
    return found


def pickled_classes(path: pathlib.Path) -> list[int | None]:
    """A ``class_info.pickle``: one class id per name, from 1; None in place of what is none.

    Raises:
      DataError: it holds no list.
    """
    values = pickles.load(path)
    if not isinstance(values, list | tuple):
        raise DataError(f"{path}: expected a list of class ids, found {type(values).__name__}")
    return [whole_number(value) for value in values]


def pickled_vectors(path: pathlib.Path, count: int):
    """A ``char-CNN-RNN-embeddings.pickle``: one [captions, E] array per name, in the same order.

    Raises:
      DataError: it holds something else, or another number of images.
    """
    values = pickles.load(path, arrays=True)
    if not hasattr(values, "__len__") or len(values) != count:
        raise DataError(f"{path}: expected sentence vectors for {count} images")
    return values
