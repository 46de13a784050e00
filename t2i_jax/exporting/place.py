"""The place of a folder that is written whole or not at all."""

import contextlib
import os
import pathlib
import re
import shutil
from collections.abc import Collection, Iterator


@contextlib.contextmanager
def whole(
    out: pathlib.Path, mark: str, files: Collection[str], kept: Collection[str] = ()
) -> Iterator[pathlib.Path]:
    """A folder to write into, which takes the place of `out` when all went well. Where something
    fails, `out` stays as it was.

    mark: the file that every export of this kind has. files: all that one may have left in `out`,
    as paths in it. kept: names of what others have added to it, of which the new one gets copies.

    Raises ValueError where `out` holds something else, which would be lost, and where no other
    folder can take its place.
    """
    final = out.resolve()
    _check(out, mark, files, kept)
    _sweep(final)
    partial = final.with_name(f".{final.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        yield partial
        for name in kept:
            if (final / name).is_dir():
                shutil.copytree(final / name, partial / name)
            elif (final / name).exists():
                shutil.copy2(final / name, partial / name)
        _replace(partial, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check(out: pathlib.Path, mark: str, files: Collection[str], kept: Collection[str]) -> None:
    if not out.exists():
        return
    if os.path.ismount(out) or out.resolve() == pathlib.Path.cwd():
        raise ValueError(f"{out} is a mount or the current folder: name a new folder inside of it")
    inside = out.rglob("*") if out.is_dir() else [out]
    found = (p.relative_to(out) for p in inside if not p.is_dir())
    if (out / mark).is_file():
        found = (p for p in found if p.as_posix() not in files and p.parts[0] not in kept)
    if (other := next(found, None)) is not None:
        raise ValueError(
            f"{out} is there and holds {other.name or out.name}, which is of no such export: name "
            "a new folder, or an earlier export of the same format"
        )


def _sweep(final: pathlib.Path) -> None:
    """Removes what exports to this place left that were killed."""
    name = re.compile(rf"\.{re.escape(final.name)}\.partial-(\d+)")
    beside = list(final.parent.iterdir()) if final.parent.is_dir() else []
    for folder in beside:
        if (found := name.fullmatch(folder.name)) and not _runs(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return process != os.getpid()


def _replace(new: pathlib.Path, final: pathlib.Path) -> None:
    """Puts a folder in the place of another, which is still there when something fails."""
    old = new.with_name(f"{new.name}.old")
    if final.exists():
        final.rename(old)
    try:
        new.rename(final)
    except OSError:
        if old.exists():
            old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)
