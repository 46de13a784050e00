"""Photos that the user gives, alone or with captions."""

import functools
import io
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from t2i_jax.data.layouts.own import recognise
from t2i_jax.data.records import Raw, caption_lines, image_data
from t2i_jax.data.source_files import Unreadable
from t2i_jax.paths import Path, local, on_disk, path


class Given(NamedTuple):
    """A photo, uint8 RGB [H, W, 3], with a caption."""

    photo: np.ndarray
    caption: str


def photo(file: str | os.PathLike) -> np.ndarray:
    """uint8 RGB [H, W, 3], turned as the camera was held."""
    with on_disk(path(file)) as disk:
        return _pixels(disk)


def pairs(paths: Sequence[str], captions: Sequence[str]) -> list[Given]:
    """Every caption with every photo; without captions, every photo of the folders among `paths`
    with the first caption that the folder has for it, in one of the layouts of docs/data.md.

    Raises ValueError or OSError for a path without images or captions, and for unreadable files.
    """
    places = map(path, paths)
    files = [_in_folder(place) if place.is_dir() else [_alone(place)] for place in places]
    found = [pair for pairs in files for pair in pairs]
    if not captions:
        for name, _, caption in found:
            if not caption:
                raise ValueError(
                    f"{name} has no caption: give --caption, or a folder of images with captions:\n"
                    + recognise.FORMATS
                )
        return [Given(read(), caption) for _, read, caption in found]
    photos = [read() for _, read, _ in found]
    return [Given(image, caption) for caption in captions for image in photos]


_Found = tuple[str, Callable[[], np.ndarray], str]  # its name, what reads it, its caption


def _alone(place: Path) -> _Found:
    return str(place), functools.partial(photo, place), ""


def _in_folder(place: Path) -> list[_Found]:
    """Images of a folder and their first captions, as far as there are any."""
    layout = recognise.read(local(place, "folders of photos"), no_captions=True)
    raws = [raw for split in layout.splits.values() for raw in split.items]
    texts = [caption_lines(raw, layout.problems)[0] for raw in raws]
    for problem in layout.problems:
        if problem.action == "skipped":
            raise ValueError(f"{place / problem.where}: {problem.reason}")
    return [
        (str(place / raw.filename), functools.partial(_photo_of, raw), next(iter(lines), ""))
        for raw, lines in zip(raws, texts, strict=True)
    ]


def _photo_of(raw: Raw) -> np.ndarray:
    if isinstance(raw.image, pathlib.Path):
        return photo(raw.image)
    try:
        return _pixels(io.BytesIO(image_data(raw)))
    except (Unreadable, OSError) as error:
        raise ValueError(f"{raw.place}: {error}") from error


def _pixels(file: str | os.PathLike | io.BytesIO) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
