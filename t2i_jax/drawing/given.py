"""Photos that the user gives, alone or with captions."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from t2i_jax.data.layouts import folder


class Given(NamedTuple):
    """A photo, uint8 RGB [H, W, 3], with a caption."""

    photo: np.ndarray
    caption: str


def photo(path: str | pathlib.Path) -> np.ndarray:
    """uint8 RGB [H, W, 3], turned as the camera was held."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def pairs(paths: Sequence[str], captions: Sequence[str]) -> list[Given]:
    """Every caption with every photo; without captions, every photo of the folders among `paths`
    with the first caption that a ``captions.jsonl`` gives it (docs/data.md).

    Raises ValueError or OSError for a path without images or captions, and for unreadable files.
    """
    files = [
        _in_folder(path) if path.is_dir() else [(path, "")] for path in map(pathlib.Path, paths)
    ]
    found = [pair for pairs in files for pair in pairs]
    if not captions:
        for path, caption in found:
            if not caption:
                raise ValueError(
                    f"{path} has no caption: give --caption, or a folder with {folder.LIST}"
                )
        return [Given(photo(path), caption) for path, caption in found]
    photos = [photo(path) for path, _ in found]
    return [Given(image, caption) for caption in captions for image in photos]


def _in_folder(path: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """Images of a folder and their first captions, as far as there are any."""
    layout = folder.read(path, no_captions=True)
    for problem in layout.problems:
        if problem.action == "skipped":
            raise ValueError(f"{path / problem.where}: {problem.reason}")
    raws = [raw for split in layout.splits.values() for raw in split.items]
    return [(raw.image, next(iter(raw.captions), "")) for raw in raws]
