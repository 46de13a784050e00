"""From what a layout says about an image to the record that is stored, with everything checked.

A layout (`t2i_jax/data/layouts/`) reads lists and yields `Raw` descriptions; `check` turns one into
a record of the common schema, or says why it can't be. Nothing wrong passes silently: what is
repaired or skipped comes back as `Problem`s to be counted.
"""

import dataclasses
import math
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from t2i_jax.data import orientation, source_files, stored_image
from t2i_jax.data.orientation import Box
from t2i_jax.data.report import Problem
from t2i_jax.data.text_files import text_lines
from t2i_jax.data.values import whole_text

NO_BOX = (0.0, 0.0, 0.0, 0.0)
BOX_TOLERANCE = 1.0  # pixels; published boxes are rounded and may end just outside the image
BROKEN = "\ufffd"  # what a lossy conversion leaves of a character
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")  # but for white space


@dataclasses.dataclass(frozen=True)
class Raw:
    """One record as a layout describes it; nothing has been checked yet.

    id: unique in its split.
    filename: the image's name as the data set gives it.
    image: the image file, its bytes, or what reads them (and raises `source_files.Unreadable`).
    captions: the captions, or a text file with one caption a line.
    label: class, 0-based; -1 for none.
    box: x, y, width, height in pixels, or None.
    embeddings: [captions, E], or a Torch7 file that holds them as "txt", or None.
    extra: further features, stored as they are.
    where: file and line of the list that describe it, for messages; "" where the image's own name
      says enough.
    """

    id: str
    filename: str
    image: pathlib.Path | bytes | Callable[[], bytes]
    captions: Sequence[str] | pathlib.Path
    label: int = -1
    box: Box | None = None
    embeddings: np.ndarray | pathlib.Path | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    where: str = ""

    @property
    def place(self) -> str:
        """Where to look for the record, in words."""
        name = source_files.file_text(self.filename)
        return f"{self.where}: {name}" if self.where else name


@dataclasses.dataclass
class Split:
    """What a split's records are made of, and how many there are (None if only reading them all
    would tell).

    items: `Raw` descriptions, and a `Problem` in place of what can't be described.
    """

    items: Iterable[Raw | Problem]
    total: int | None = None


@dataclasses.dataclass
class Layout:
    """A source that has been read: its splits, class names, and what was wrong with its lists.

    expected: {split: records of the complete set} where this layout differs from the builder's.
    name: what kind of layout it is, where a builder knows several.
    told: what was found and decided, in sentences for the user; notes are warnings.
    """

    splits: dict[str, Split]
    label_names: Sequence[str] = ()
    expected: dict[str, int] | None = None
    problems: list[Problem] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    name: str = ""
    told: list[str] = dataclasses.field(default_factory=list)


def check(
    raw: Raw,
    *,
    max_side: int | None = None,
    need_captions: bool = True,
    embeddings: bool = False,
    turn: bool = False,
) -> tuple[dict[str, Any] | None, list[Problem]]:
    """The record to store (None if it must be skipped) and the problems found.

    max_side: see `stored_image.shrunk_size`.
    need_captions: skip an image that has no usable caption.
    embeddings: every record must have sentence vectors.
    turn: turn the image, and its box, as the file's orientation tag says.
    """
    problems: list[Problem] = []
    place = raw.place

    def skip(reason: str, where: str = place) -> tuple[None, list]:
        return None, [*problems, Problem("skipped", "record", reason, where)]

    try:
        data = image_data(raw)
    except source_files.Unreadable as error:
        return skip(f"image file {error}")
    try:
        lines, caption_file = caption_lines(raw, problems)
    except source_files.Unreadable as error:
        return skip(f"caption file {error}", where=str(raw.captions))
    kept, captions = clean_captions(lines, caption_file, problems)
    if not captions and need_captions:
        return skip("no caption")

    box, vectors = raw.box, None
    try:
        picture = stored_image.decode(data, turn)
        width, height = picture.image.size
        if box is not None:
            if picture.turned:
                box = orientation.turned_box(box, picture.orientation, width, height)
            box = check_box(box, width, height, place, problems)
        image = stored_image.store(picture, max_side=max_side, box=box)
    except stored_image.BadImage as error:
        return skip(str(error))
    problems.extend(Problem("repaired", "image", r, place) for r in image.repaired)
    problems.extend(Problem("kept", "image", r, place) for r in image.kept)
    if embeddings:
        try:
            vectors = _vectors(raw)
        except source_files.Unreadable as error:
            return skip(f"sentence vectors {error}")
        except (KeyError, TypeError, ValueError):
            return skip("sentence vectors unreadable")
        if vectors.ndim != 2 or len(vectors) != len(lines):
            return skip("sentence vectors are not one a caption")
        if not np.isfinite(vectors).all():
            return skip("sentence vectors hold NaN or infinity")
        vectors = vectors[kept]

    sx, sy = image.scale
    x, y, w, h = box or NO_BOX
    record = {
        "image": image.data,
        "image/id": source_files.file_text(raw.id),
        "image/filename": source_files.file_text(raw.filename),
        "captions": captions,
        "label": raw.label,
        "bbox": np.asarray((x * sx, y * sy, w * sx, h * sy), np.float32),
        **raw.extra,
    }
    if vectors is not None:
        record["embeddings"] = vectors
    return record, problems


def clean_captions(
    lines: Sequence[str], where: str, problems: list[Problem]
) -> tuple[list[int], list[str]]:
    """Captions with clean white space, without the ones that say nothing.

    Characters that an earlier conversion broke (U+FFFD, half an emoji) become blanks, which for
    AttnGAN's vocabulary is the same as its own rule; so do control characters. Returns (indices of
    the kept lines, captions).
    """
    kept, captions = [], []
    for i, line in enumerate(lines):
        place = f"{where}:{i + 1}"
        text = whole_text(line).strip()
        if "\n" in text or "\r" in text:
            problems.append(Problem("repaired", "caption", "line break inside", place))
        if BROKEN in text:
            problems.append(Problem("repaired", "caption", "broken character (U+FFFD)", place))
            text = text.replace(BROKEN, " ")
        if _CONTROL.search(text):
            problems.append(Problem("repaired", "caption", "control character", place))
            text = _CONTROL.sub(" ", text)
        text = " ".join(text.split())
        if not any(c.isalnum() for c in text):
            reason = "placeholder {}" if text == "{}" else "empty" if not text else "no word"
            problems.append(Problem("skipped", "caption", reason, place))
            continue
        kept.append(i)
        captions.append(text)
    return kept, captions


def check_box(box: Box, width: int, height: int, where: str, problems: list[Problem]) -> Box | None:
    """The box if it lies in the image (within a pixel), else its part inside; None if there
    is none.
    """
    x, y, w, h = box
    if not all(math.isfinite(v) for v in box) or w <= 0 or h <= 0:
        problems.append(Problem("repaired", "box", "no area: left out", where))
        return None
    slack = BOX_TOLERANCE
    if x >= -slack and y >= -slack and x + w <= width + slack and y + h <= height + slack:
        return box
    left, top = max(0.0, x), max(0.0, y)
    right, bottom = min(float(width), x + w), min(float(height), y + h)
    if right - left < 1 or bottom - top < 1:
        problems.append(Problem("repaired", "box", "outside the image: left out", where))
        return None
    problems.append(Problem("repaired", "box", "partly outside the image: cut", where))
    return left, top, right - left, bottom - top


def image_data(raw: Raw) -> bytes:
    """The bytes of the image file. Raises Unreadable."""
    if isinstance(raw.image, bytes):
        return raw.image
    return source_files.read(raw.image) if isinstance(raw.image, pathlib.Path) else raw.image()


def caption_lines(raw: Raw, problems: list[Problem]) -> tuple[Sequence[str], str]:
    """The captions as they are written, and their file or place, for messages. Raises
    Unreadable.
    """
    if not isinstance(raw.captions, pathlib.Path):
        return raw.captions, raw.where or source_files.file_text(raw.id)
    where = source_files.file_text("/".join(raw.captions.parts[-2:]))
    return text_lines(source_files.read(raw.captions), where, problems), where


def _vectors(raw: Raw) -> np.ndarray:
    if raw.embeddings is None:
        raise source_files.Unreadable("missing")
    if not isinstance(raw.embeddings, pathlib.Path):
        return np.asarray(raw.embeddings, np.float32)
    from t2i_jax.data import torch7  # few sources hold such files

    data = source_files.read(raw.embeddings)
    return np.asarray(torch7.loads(data, str(raw.embeddings))["txt"], np.float32)
