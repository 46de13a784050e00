"""Exported folders: what is needed to draw from a run, in files that can be shared.

export.json        version of this format, step, SHA-256 of every file below; sealed
config.json        tokenizer.json, frozen/encoder.safetensors: as in a run
model.safetensors  the averaged networks; a leaf is named by its path, "params/g/Dense_0/kernel"

They can be named wherever a run is only read. Reading one executes nothing that comes with it: the
files are JSON and safetensors, and the classes that they name must be this library's own. README.md
and samples.png are for readers, and may be edited.
"""

import hashlib
import os
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.arguments import program
from t2i_jax.training import sealed

MANIFEST = "export.json"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
ENCODER = "frozen/encoder.safetensors"
NEEDED, OPTIONAL = (CONFIG, WEIGHTS), (TOKENIZER, ENCODER)
FILES = (MANIFEST, *NEEDED, *OPTIONAL)
PICTURE, CARD = "samples.png", "README.md"
BESIDE = (PICTURE, CARD)  # for readers
FORMAT = 1


def is_export(folder: str | os.PathLike) -> bool:
    """Whether a path is an exported folder."""
    return paths.exists(paths.path(folder) / MANIFEST)


def describe(folder: paths.Path, step: int) -> dict[str, Any]:
    """The manifest of a folder that has all other files. The card's digest tells whether somebody
    has edited it, who should not lose that.
    """
    names = [name for name in (*NEEDED, *OPTIONAL) if paths.exists(folder / name)]
    files = {name: sha256(folder / name) for name in names}
    return {"format": FORMAT, "step": step, "files": files, "card": sha256(folder / CARD)}


def manifest(folder: str | os.PathLike) -> dict[str, Any]:
    """The manifest of an exported folder.

    Raises FileNotFoundError where `folder` is none, ValueError for one that is damaged or was
    written by a newer version of this library.
    """
    path = paths.path(folder) / MANIFEST
    if not paths.exists(path):
        raise FileNotFoundError(
            f"{folder} is no exported folder: it has no {MANIFEST} "
            f"(write one with {program('export')} --workdir=RUN --out=DIR)"
        )
    found = sealed.read(path)
    version, files = found.get("format"), found.get("files")
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(
            f"{path} is of format {version}, this version of t2i_jax reads up to {FORMAT}: install "
            "a newer one"
        )
    named = set(files) if isinstance(files, dict) else set()
    if not (set(NEEDED) <= named <= {*NEEDED, *OPTIONAL} and isinstance(found.get("step"), int)):
        raise ValueError(f"{path} is damaged: it is no list of the files that an export has")
    return found


def check(folder: str | os.PathLike) -> dict[str, Any]:
    """The manifest, when every file is there and as it was written. Raises as `manifest`, and
    FileNotFoundError or ValueError with the name of the file that is not.
    """
    found, remedy = manifest(folder), "Download or copy the folder again"
    for name, digest in found["files"].items():
        path = paths.path(folder) / name
        if not paths.exists(path):
            raise FileNotFoundError(f"{path} is missing, a part of the exported folder. {remedy}")
        if sha256(path) != digest:
            raise ValueError(f"{path} is damaged, or was changed since the export. {remedy}")
    return found


def load_ema(folder: str | os.PathLike, step: int | None = None) -> dict:
    """The averaged networks, NumPy arrays. Raises as `check`, and FileNotFoundError for a step that
    is not the folder's.
    """
    from t2i_jax.interop import weights  # loads Flax

    only = check(folder)["step"]
    if step not in (None, only):
        raise FileNotFoundError(f"{folder} has no step {step}: it was exported of step {only}")
    return weights.load(paths.path(folder) / WEIGHTS)[0]


def check_modules(folder: str | os.PathLike, config: ConfigDict) -> None:
    """Raises ValueError where the config or a network names a module that is not this library's:
    importing it would execute whatever is found under that name.
    """
    for field, name in _named(paths.path(folder), config):
        if name.partition(":")[0].partition(".")[0] != "t2i_jax":
            raise ValueError(
                f"{folder}: {field}={name!r} is a module that is no part of t2i_jax, and drawing "
                "from this folder would execute it. If you know and trust it, say so: "
                "Sampler.from_pretrained(..., trust_modules=True)"
            )


def _named(folder: paths.Path, config: ConfigDict) -> Iterator[tuple[str, str]]:
    """(where, name) of every module that is named; names without a dot are files of rooms here."""
    from t2i_jax.interop import weights

    fields = configs.flatten(config.to_dict())
    for field, value in fields.items():
        name = str(value)
        by_room = field in ("system", "encoder.name")
        of_data = field == "data.name" and ":" in name.replace(".", ":").partition("/")[0]
        if (by_room and "." in name) or of_data or field.rpartition(".")[2] == "module":
            yield field, name
    networks = folder / "frozen"
    for path in sorted(networks.glob("*.safetensors")) if networks.is_dir() else ():
        if "module" in (found := weights.metadata(path)):
            yield f"the network in {path.name}", found["module"]


def sha256(path: paths.Path) -> str:
    """Of a file's content, in hexadecimal."""
    with paths.told(path), path.open("rb") as file:
        total = hashlib.sha256()
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()
