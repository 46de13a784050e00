"""Where the weights of published networks lie, and what is said where they do not."""

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

from t2i_jax import paths
from t2i_jax.interop import tf_checkpoint


class Published(NamedTuple):
    """file: as its publisher names it, in folders where an archive has them. origin: in words.

    sha256: how it begins; "" where we do not know it.
    """

    file: str
    origin: str
    sha256: str = ""


def cache() -> paths.Path:
    """The folder in which ``launch/fetch_weights.sh`` keeps weights, a folder a name."""
    home = os.environ.get("T2I_JAX_WEIGHTS")
    return paths.path(home or os.path.expanduser("~/.cache/t2i_jax/weights"))


def find(name: str, known: Sequence[Published], given: str | os.PathLike | None) -> paths.Path:
    """The file of weights of the extractor `name`.

    given: a file, of any name; a folder, in which one of `known` lies; None: the folder `name` of
    `cache`.

    Raises FileNotFoundError that names the files, where they were looked for and where they are
    from.
    """
    place = cache() / name if given is None else paths.path(given)
    if given is not None and not place.is_dir() and tf_checkpoint.exists(place):
        return place
    for published in known:
        for file in (place / published.file, place / paths.path(published.file).name):
            if tf_checkpoint.exists(file):
                return file
    files = "; or ".join(f"{p.file} ({p.origin})" for p in known)
    where = f"in {place}" if given is None or place.is_dir() else f"at {place}"
    raise FileNotFoundError(
        f"{name} has no weights {where}. Needed: {files}. Put it there, or name the file or its "
        "folder as the weights"
    )


def told(path: paths.Path, known: Sequence[Published]) -> str:
    """What a description says of a file: its name, how its SHA-256 begins, and whether that is the
    published one.

    Raises ValueError where a file has a published name and not the published content.
    """
    if not path.is_file():  # a checkpoint of several files
        return path.name
    found = hashlib.sha256(paths.read_bytes(path)).hexdigest()
    published = {p.sha256 for p in known if p.sha256 and found.startswith(p.sha256)}
    for p in known:
        if p.sha256 and paths.path(p.file).name == path.name and not published:
            raise ValueError(
                f"{path}: its SHA-256 begins with {found[:8]}, that of the published file with "
                f"{p.sha256}: it is damaged or was changed. Fetch it anew, or rename it if the "
                "change is yours"
            )
    return f"{path.name}, SHA-256 {found[:8]}{', the published one' if published else ''}"
