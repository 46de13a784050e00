"""What is in a tar archive, without unpacking it."""

import pathlib
import tarfile
from typing import NamedTuple

from t2i_jax.data import source_files
from t2i_jax.data.layouts import files
from t2i_jax.data.report import Problem

_BLOCK = 512  # bytes; one of zeros ends an archive


class Part(NamedTuple):
    """The bytes of a file from `start` on, `size` of them."""

    path: pathlib.Path
    start: int
    size: int

    def read(self) -> bytes:
        """The bytes. Raises Unreadable."""
        if self.size > source_files.LARGEST:
            raise source_files.Unreadable("is larger than 1 GiB")
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                return file.read(self.size)
        except OSError as error:
            raise source_files.Unreadable(f"unreadable: {error.strerror}") from None


def members(path: pathlib.Path, name: str, problems: list[Problem]) -> dict[str, Part]:
    """The data files of an archive by their names. Links, devices, names that lead out of the
    archive and names that come twice are problems, and so is an archive without an end.

    name: the archive's, for the problems.
    """
    found: dict[str, Part] = {}
    try:
        with tarfile.open(path, "r:", errors="surrogateescape") as archive:
            for member in archive:
                if reason := _add(found, member, path):
                    where = f"{name}/{source_files.file_text(member.name)}"
                    problems.append(Problem("skipped", "record", reason, where))
            with path.open("rb") as file:  # tarfile takes damage behind the first file for the end
                file.seek(archive.offset)
                whole = file.read(_BLOCK) == bytes(_BLOCK)
    except (tarfile.TarError, EOFError, ValueError):
        whole = False
    except OSError as error:
        reason = f"archive unreadable: {error.strerror}"
        problems.append(Problem("skipped", "list", reason, name))
        return found
    if not whole:
        reason = "archive cut short or damaged" if found else "no tar archive, or a compressed one"
        problems.append(Problem("skipped", "list", reason, name))
    return found


def _add(found: dict[str, Part], member: tarfile.TarInfo, path: pathlib.Path) -> str:
    """Adds a member, if it is data; says why one with data cannot be added."""
    name = files.inside(member.name)
    if member.isdir() or (name and any(map(source_files.hidden, name.split("/")))):
        return ""
    if not member.isreg() or member.issparse():
        return "a link or device in the archive, not a file"
    if name is None:
        return "name points outside the archive"
    if name in found:
        return "name is twice in the archive: the first counts"
    found[name] = Part(path, member.offset_data, member.size)
    return ""
