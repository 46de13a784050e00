"""The splits of a user's images: as a list names them, or as folders and shards are called."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

from t2i_jax.data.report import DataError, Problem
from t2i_jax.data.values import is_nothing

SPLITS = ("train", "val", "test")
# The words that Hugging Face's `datasets` knows splits by.
WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "validation", "valid", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
_LONGEST = 40  # characters; files are named after splits
_DEEPEST = 3  # folders: data/images/train


def checked(value: Any, where: str) -> str:
    """The split that a list names; "train" where it names none.

    Raises:
      DataError: it is no word, means all splits, or is near one that is known.
    """
    if is_nothing(value):
        return "train"
    name = value.strip().lower() if isinstance(value, str) else ""
    if not re.fullmatch(r"[a-z]\w*", name, re.ASCII) or len(name) > _LONGEST:
        raise DataError(f'{where}: the split {value!r} should be a word such as "train" or "test"')
    if name == "all":
        raise DataError(f"{where}: the split {value!r} means all splits together; name another")
    near = difflib.get_close_matches(name, SPLITS, 1, cutoff=0.8) if name.isalpha() else []
    meant = WORDS.get(name) or next(iter(near), name)
    if meant != name:
        raise DataError(f"{where}: unknown split {value!r}; did you mean {meant!r}?")
    return name


def translated(value: Any, where: str) -> str:
    """The same of a list in another program's words, such as "validation"."""
    word = value.strip().lower() if isinstance(value, str) else value
    return WORDS[word] if word in WORDS else checked(value, where)


def of_folders(names: Iterable[str], problems: list[Problem]) -> dict[str, str]:
    """{path: split} of images in folders such as ``train/`` and ``test/``; else all of "train".

    Folders are splits where all of one depth are called so, or where a folder of training images
    is beside one of held-out ones: a class may be called "train" as well.
    """
    parts = {name: name.split("/")[:-1] for name in names}
    for depth in range(_DEEPEST):
        words = {p[depth].lower() for p in parts.values() if len(p) > depth}
        known = {WORDS.get(word) for word in words}
        if known and (None not in known or ("train" in known and known & {"val", "test"})):
            return {name: _of(name, p[depth : depth + 1], problems) for name, p in parts.items()}
    return dict.fromkeys(parts, "train")


def _of(name: str, folder: list[str], problems: list[Problem]) -> str:
    split = next((WORDS.get(word.lower()) for word in folder), None)
    if split is None:
        reason = "beside the folders of the splits: taken for training"
        problems.append(Problem("kept", "image", reason, name))
    return split or "train"


def of_shard(name: str) -> str:
    """The split of a file such as ``data/validation-00000-of-00002.parquet`` or
    ``test/000.tar``: "val" and "test"; "train" where the name has no such word.
    """
    words = re.split(r"[-._ /\d]+", name.lower())
    return next((WORDS[word] for word in reversed(words) if word in WORDS), "train")
