"""What lies in a user's folder, by one walk: links followed, what systems leave there left out."""

import collections
import dataclasses
import functools
import os
import pathlib

from t2i_jax.data import source_files
from t2i_jax.data.layouts import files
from t2i_jax.data.report import Problem

IMAGES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".jp2", ".avif"),
)


@dataclasses.dataclass(frozen=True)
class Listing:
    """The files in a folder and the folders in it.

    root: the folder. files: paths below it, sorted.
    """

    root: pathlib.Path
    files: tuple[str, ...]

    @functools.cached_property
    def images(self) -> list[str]:
        """The files that are images by their endings."""
        return self.ending(*IMAGES)

    def ending(self, *endings: str) -> list[str]:
        """The files with one of these endings (".txt"), in capitals too."""
        return [name for name in self.files if ending(name) in endings]

    def named(self, *names: str) -> list[str]:
        """The files of one of these names in any folder; empty ones are as good as none."""
        return [
            file
            for file in self.files
            if os.path.basename(file) in names and files.is_file(self.root / file)
        ]

    def endings(self) -> list[tuple[str, int]]:
        """How many files there are of each ending, the most frequent first."""
        return collections.Counter(ending(name) or "no ending" for name in self.files).most_common()


def ending(name: str) -> str:
    """The ending of a file's name in small letters, ".jpg"; "" for none."""
    return os.path.splitext(name)[1].lower()


def survey(root: pathlib.Path, problems: list[Problem]) -> Listing:
    """Walks a folder; what cannot be read of it is a problem."""

    def unreadable(error: OSError) -> None:
        reason = f"folder unreadable: {error.strerror}"
        problems.append(Problem("skipped", "list", reason, str(error.filename)))

    found, seen = [], set()
    for place, folders, names in os.walk(root, onerror=unreadable, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = sorted(f for f in folders if not source_files.hidden(f) and real not in seen)
        if real in seen:  # a link back, or a second one to the same folder
            continue
        seen.add(real)
        below = os.path.relpath(place, root)
        found += [
            os.path.normpath(os.path.join(below, name))
            for name in names
            if not source_files.hidden(name)
        ]
    return Listing(root, tuple(sorted(found)))
