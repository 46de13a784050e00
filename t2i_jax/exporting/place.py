"""The place of a folder that is written whole or not at all."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Collection, Iterator


@contextlib.contextmanager
def whole(out: pathlib.Path, files: Collection[str]) -> Iterator[pathlib.Path]:
    """A folder to write into, which takes the place of `out` when all went well.

    files: the names that an earlier export may have left in `out`.

    Raises ValueError where `out` holds something else, which would be lost.
    """
    if out.exists():
        found = [p.name for p in out.iterdir()] if out.is_dir() else [out.name]
        if others := sorted(set(found) - set(files)) or (not out.is_dir() and found):
            raise ValueError(
                f"{out} is there and holds {others[0]}, which is of no such export: name a new "
                "folder, or an earlier export of the same format"
            )
    final = out.resolve()
    partial = final.with_name(f".{final.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        yield partial
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
