"""The captions that SOA asks images of: lists that its authors published, or those of any set."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from t2i_jax import paths
from t2i_jax.data import pickles
from t2i_jax.evaluation.metrics.coco_classes import IDS, PERSON, mentioned

IMAGES = 3  # of each caption
_PERSONS = 30_000  # captions, with one image each

_FILE = re.compile(r"label_(\d\d?)(?:_.*)?\.pkl")


def published(folder: str | os.PathLike) -> dict[int, list[str]]:
    """The captions of each class by category id, from the release's folder ``SOA/captions`` with
    its 80 files ``label_00_person.pkl`` to ``label_79_toothbrush.pkl``.

    Raises OSError where the folder cannot be read, and ValueError naming a file that lacks or is
    not like the release's, with its entry.
    """
    place = paths.path(folder)
    files = {
        int(found[1]): path for path in place.iterdir() if (found := _FILE.fullmatch(path.name))
    }
    missing = [n for n in range(len(IDS)) if n not in files]
    if missing or len(files) > len(IDS):
        lacks = f"label_{missing[0]:02}_*.pkl lacks" if missing else f"there are {len(files)} files"
        raise ValueError(
            f"{folder}: {lacks}; the folder SOA/captions of the release has {len(IDS)} files"
        )
    return {category: _captions(files[n]) for n, category in enumerate(IDS)}


def _captions(path: paths.Path) -> list[str]:
    entries = pickles.load(path)
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path}: a list of captions is needed, not {type(entries).__name__}")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("caption"), str):
            raise ValueError(f"{path}: entry {number} has no caption")
    return [entry["caption"] for entry in entries]


def by_names(captions: Iterable[str]) -> dict[int, list[str]]:
    """The captions that name each class by the rule of `mentioned`, by category id."""
    found = {category: [] for category in IDS}
    for caption in captions:
        for category in mentioned(caption):
            found[category].append(caption)
    return found


def requests(captions: Mapping[int, Sequence[str]], seed: int) -> list[tuple[int, str]]:
    """(category id, caption) of every image that SOA asks for: three of each caption, and of 30,000
    captions with persons, drawn from all of them, one each (all where there are fewer).
    """
    asked = []
    for category, texts in captions.items():
        if category == PERSON and len(texts) > _PERSONS:
            drawn = np.random.default_rng(seed).choice(len(texts), _PERSONS, replace=False)
            texts = [texts[i] for i in np.sort(drawn)]
        times = 1 if category == PERSON else IMAGES
        asked += [(category, text) for text in texts for _ in range(times)]
    return asked
