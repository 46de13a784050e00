"""Photos that the user gives, alone or with captions."""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from t2i_jax.data.layouts import folder
from t2i_jax.paths import Path, local, on_disk, path


class Given(NamedTuple):
    """A photo, uint8 RGB [H, W, 3], with a caption."""

    photo: np.ndarray
    caption: str


def photo(file: str | os.PathLike) -> np.ndarray:
    """uint8 RGB [H, W, 3], turned as the camera was held."""
    with on_disk(path(file)) as disk, Image.open(disk) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def pairs(paths: Sequence[str], captions: Sequence[str]) -> list[Given]:
    """Every caption with every photo; without captions, every photo of the folders among `paths`
    with the first caption that a ``captions.jsonl`` gives it (docs/data.md).

    Raises ValueError or OSError for a path without images or captions, and for unreadable files.
    """
    places = map(path, paths)
    files = [_in_folder(place) if place.is_dir() else [(place, "")] for place in places]
    found = [pair for pairs in files for pair in pairs]
    if not captions:
        for file, caption in found:
            if not caption:
                raise ValueError(
                    f"{file} has no caption: give --caption, or a folder with {folder.LIST}"
                )
        return [Given(photo(file), caption) for file, caption in found]
    photos = [photo(file) for file, _ in found]
    return [Given(image, caption) for caption in captions for image in photos]


def _in_folder(place: Path) -> list[tuple[pathlib.Path, str]]:
    """Images of a folder and their first captions, as far as there are any."""
    layout = folder.read(local(place, "folders of photos"), no_captions=True)
    for problem in layout.problems:
        if problem.action == "skipped":
            raise ValueError(f"{place / problem.where}: {problem.reason}")
    raws = [raw for split in layout.splits.values() for raw in split.items]
    return [(raw.image, next(iter(raw.captions), "")) for raw in raws]
