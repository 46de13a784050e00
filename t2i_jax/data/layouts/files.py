"""Finding and reading the files of a layout: what the readers of all data sets share."""

import pathlib
from collections.abc import Iterable, Sequence

from t2i_jax.data import pickles
from t2i_jax.data.records import text_lines
from t2i_jax.data.report import DataError, Problem


class MissingSource(DataError, FileNotFoundError):
    """The source folder lacks something; the message lists what was looked for and where to get
    it.
    """


def under(prefixes: Iterable[str], names: Iterable[str]) -> list[str]:
    """Every name below every prefix ("" for the source itself), prefixes first."""
    return [f"{p}/{n}" if p else n for p in prefixes for n in names]


def find(source: pathlib.Path, candidates: Iterable[str]) -> pathlib.Path | None:
    """The first of the candidate paths below `source` that exists."""
    return next((source / c for c in candidates if (source / c).exists()), None)


def need(source: pathlib.Path, candidates: Sequence[str], what: str, get: str) -> pathlib.Path:
    """Like `find`, but a thing that must be there.

    what: what it is, for the message. get: where to get it.

    Raises:
      MissingSource: none of the candidates exists.
    """
    found = find(source, candidates)
    if found is None:
        looked = "\n".join(f"  {source / c}" for c in candidates)
        raise MissingSource(f"{what} not found. Looked for\n{looked}\nWhere to get it: {get}")
    return found


def lines(path: pathlib.Path, problems: list[Problem]) -> list[str]:
    """The non-empty lines of a list file, stripped."""
    found = text_lines(path.read_bytes(), path.name, problems)
    return [line.strip() for line in found if line.strip()]


def table(path: pathlib.Path, columns: int, problems: list[Problem]) -> dict[str, list[str]]:
    """A file of "<id> <column> ..." lines as {id: [column, ...]}.

    Raises:
      DataError: a line with another number of columns.
    """
    rows: dict[str, list[str]] = {}
    for number, line in enumerate(lines(path, problems), 1):
        key, *rest = line.split()
        if len(rest) != columns:
            raise DataError(f"{path}:{number}: {line!r} should have {columns + 1} columns")
        if key in rows:
            problems.append(Problem("skipped", "list", "duplicate id", f"{path.name}:{number}"))
            continue
        rows[key] = rest
    return rows


def unique(names: Iterable[str], where: str, problems: list[Problem]) -> list[int]:
    """Positions of the names that have not occurred before; the others are reported."""
    seen: set[str] = set()
    kept = []
    for i, name in enumerate(names):
        if name in seen:
            problems.append(Problem("skipped", "image", "duplicate id", f"{where}: {name}"))
            continue
        seen.add(name)
        kept.append(i)
    return kept


def pickled_names(path: pathlib.Path) -> list[str]:
    """A ``filenames.pickle`` of the StackGAN family: relative image names without extension.

    Raises:
      DataError: it holds something else, or a name that leaves the folder.
    """
    names = pickles.load(path)
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise DataError(f"{path}: expected a list of file names, found {type(names).__name__}")
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            raise DataError(f"{path}: the name {name!r} points outside the data set")
    return names


def pickled_classes(path: pathlib.Path, count: int) -> list[int]:
    """A ``class_info.pickle``: one class id per name, from 1.

    Raises:
      DataError: it holds something else, or another number of ids.
    """
    values = pickles.load(path)
    try:
        ids = [int(v) for v in values]
    except (TypeError, ValueError):
        raise DataError(f"{path}: expected a list of class ids") from None
    if len(ids) != count:
        raise DataError(f"{path}: {len(ids)} class ids for {count} file names")
    return ids


def pickled_vectors(path: pathlib.Path, count: int):
    """A ``char-CNN-RNN-embeddings.pickle``: one [captions, E] array per name, in the same order.

    Raises:
      DataError: it holds something else, or another number of images.
    """
    values = pickles.load(path, arrays=True)
    if not hasattr(values, "__len__") or len(values) != count:
        raise DataError(f"{path}: expected sentence vectors for {count} images")
    return values
