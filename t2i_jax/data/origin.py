"""Where a prepared set came from: with which options it was made, and how its source looked then.

Kept beside the records as ``origin.json``. Of every folder of the source it has the number of
files and three digests: of their names; of the sizes of all and the contents of text files; of the
times at which the others were written. Taking it reads no image.
"""

import hashlib
import json
import os
import pathlib
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from etils import epath

from t2i_jax.data.layouts.files import MissingSource
from t2i_jax.data.report import DataError, Report
from t2i_jax.data.source_files import hidden

FILENAME = "origin.json"
_TEXTS = {".txt", ".json", ".jsonl", ".csv", ".tsv"}
_LONGEST = 1 << 26  # bytes of a text file that is read; longer ones are known by size and time
_WORDS = {
    "names": "files added, removed or renamed in",
    "contents": "files changed in",
    "times": "files of the same size written again in",
}

# Of every folder: {"images/003": {"files": 59, "names": ..., "contents": ..., "times": ...}}
Look = Mapping[str, Mapping[str, Any]]


def take(
    options: Mapping[str, Any],
    roots: Mapping[str, pathlib.Path],
    skip: Iterable[str | os.PathLike],
) -> dict[str, Any]:
    """The origin as it is now.

    options: of the preparation, as JSON can hold them.
    roots: the user's folders by option: "source", "images".
    skip: folders that are no part of the source, should they lie inside.
    """
    return {
        "options": json.loads(json.dumps(dict(options), default=str)),
        "roots": {
            option: {"path": str(root.resolve()), "folders": _look(root.resolve(), skip)}
            for option, root in roots.items()
        },
    }


def save(folder: epath.Path, origin: Mapping[str, Any]) -> None:
    """Writes ``origin.json`` into a prepared folder."""
    (folder / FILENAME).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")


def load(folder: epath.Path) -> dict[str, Any] | None:
    """What `save` wrote; None where there is nothing that can be read, as in older sets."""
    try:
        found = json.loads((folder / FILENAME).read_text(encoding="utf-8"))
        return found if found.keys() == {"options", "roots"} else None
    except (OSError, ValueError, AttributeError):
        return None


def changes(old: Look, new: Look) -> list[str]:
    """In words, what differs in which folders; empty where nothing does."""
    found: dict[str, list[str]] = {}
    for folder in sorted(old.keys() | new.keys()):
        was, now = old.get(folder, {}), new.get(folder, {})
        fact = next((fact for fact in _WORDS if was.get(fact) != now.get(fact)), None)
        if fact:
            files = f"{folder} ({was.get('files', 0):,} files before, {now.get('files', 0):,} now)"
            found.setdefault(fact, []).append(files if fact == "names" else folder)
    return [f"{_WORDS[fact]} {_some(folders)}" for fact, folders in found.items()]


def check(report: Report, now: Mapping[str, Any]) -> None:
    """Raises DataError where what is prepared was made from another source than `now`, or with
    other options; notes in the report what has changed in the same one.
    """
    before = load(epath.Path(report.path))
    if before is None:
        path = str(pathlib.Path(report.source).expanduser().resolve())
        before = {"options": now["options"], "roots": {"source": {"path": path, "folders": {}}}}
        if now["roots"]:
            report.notes.append(f"{report.path} does not say how its source looked: it is older")
    instead = "prepare this in place of it (--overwrite) or in another --data_dir"
    if report.dataset == "folder":
        instead = "give this one another name (--name=NAME) or prepare it in place of that one"
        instead += " (--overwrite)"
    if before["options"] != now["options"]:
        raise DataError(
            f"{report.path} was prepared with the options {before['options']}, not with "
            f"{now['options']}: {instead}"
        )
    for option, root in now["roots"].items():
        was = before["roots"].get(option, {"path": "none", "folders": {}})
        there = pathlib.Path(root["path"]).is_dir()
        differing = changes(was["folders"], root["folders"])
        if was["path"] != root["path"] and not there:
            raise MissingSource(f"the {option} {root['path']} is not a folder")
        if was["path"] != root["path"] and differing:
            raise DataError(
                f"{report.path} was prepared with --{option}={was['path']}, not with "
                f"--{option}={root['path']}, whose files are not the same "
                f"({'; '.join(differing)}): {instead}"
            )
        if there and was["folders"] and differing:
            report.notes.append(
                f"the {option} {root['path']} has changed since it was prepared "
                f"({'; '.join(differing)}): --overwrite prepares it again"
            )


def _some(folders: list[str]) -> str:
    more = f" and {len(folders) - 3:,} more" if len(folders) > 3 else ""
    return ", ".join(folders[:3]) + more


def _look(root: pathlib.Path, skip: Iterable[str | os.PathLike]) -> Look:
    found = {}
    for folder, names in _folders(root, skip):
        digests = {fact: hashlib.sha256() for fact in _WORDS}
        for name in sorted(names):
            path = os.path.join(folder, name)
            digests["names"].update(os.fsencode(name) + b"\0")
            try:
                digests["contents"].update(_contents(path, digests["times"]))
            except OSError:  # a link to nowhere, or a file that may not be read
                digests["contents"].update(b"unreadable\0")
        key = os.fsencode(os.path.relpath(folder, root)).decode(errors="backslashreplace")
        found[key] = {"files": len(names)} | {k: d.hexdigest()[:16] for k, d in digests.items()}
    return found


def _contents(path: str, times) -> bytes:
    status = os.stat(path)
    text = stat.S_ISREG(status.st_mode) and os.path.splitext(path)[1].lower() in _TEXTS
    if text and status.st_size <= _LONGEST:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).digest()
    times.update(b"%d\0" % status.st_mtime_ns)
    return b"%d\0" % status.st_size


def _folders(
    root: pathlib.Path, skip: Iterable[str | os.PathLike]
) -> Iterator[tuple[str, list[str]]]:
    """Every folder with its files, links followed once; hidden ones are no data."""
    seen = {os.path.realpath(folder) for folder in skip} - {str(root)}
    for folder, folders, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not hidden(name))
        yield folder, [name for name in names if not hidden(name)]
