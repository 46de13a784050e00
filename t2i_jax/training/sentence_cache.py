"""Every caption of a split, encoded once by a frozen encoder.

A frozen encoder gives the same vectors at every step; encoding the split before training costs one
pass and leaves the step with the GAN alone. Only sentence vectors are kept (for CUB 363 MB on
disk), memory-mapped; encoders whose word vectors a recipe needs are run in the step instead.

The file is ``<key>-<checksum>.npy``: a digest of all that decides the vectors, the captions
themselves among it, and one of the file's own bytes. Another caption has another key, and a file
that is damaged does not fit its name.

A run has a folder of its own for it, in which one process encodes. ``$T2I_JAX_CAPTION_CACHE`` names
a folder for the files of many runs, which any number of processes may use at once: the trainings of
a sweep encode the same captions.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import numpy as np

from t2i_jax import owner
from t2i_jax.data import tokenizers
from t2i_jax.interop import weights
from t2i_jax.training.modules import class_name
from t2i_jax.waiting import Waiting

SHARED = "T2I_JAX_CAPTION_CACHE"  # a variable of the environment
_ROWS = 512  # captions encoded at a time

Captions = Sequence[Sequence[str]]  # of every record, in the order of the records


def sentences(
    folder: pathlib.Path,
    captions: Captions,
    encoder: nn.Module,
    variables,
    tokenizer: tokenizers.Tokenizer,
    say: Callable[[str], None] = print,
    shared: bool = False,
) -> np.ndarray:
    """[records, captions, E] float32, memory-mapped from a file in `folder`; made where there is
    none, or a damaged one, which is said and goes.

    shared: other processes use the folder, too; of several that want the same file one makes it and
    the others wait. Else files of other captions, tokenizers or encoders go.

    Rows beyond a record's own captions are zero and never drawn. Raises ValueError where there are
    no captions.
    """
    key = _key(captions, encoder, variables, tokenizer)
    if (path := _find(folder, key, say)) is None:
        folder.mkdir(parents=True, exist_ok=True)
        with owner.turn(folder / f"{key}.lock") if shared else contextlib.nullcontext():
            if (path := _find(folder, key, say)) is None:
                path = _make(folder, key, captions, encoder, variables, tokenizer, say)
    for other in () if shared else folder.glob("*.npy"):
        if other != path:
            other.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r")


def _find(folder: pathlib.Path, key: str, say: Callable[[str], None]) -> pathlib.Path | None:
    """The whole file of a key; damaged ones are deleted."""
    for path in sorted(folder.glob(f"{key}-*.npy")):
        if path.stem == f"{key}-{_checksum(path)}":
            return path
        say(f"{path} is damaged (it does not fit its checksum): encoding the captions again")
        path.unlink(missing_ok=True)
    return None


def _make(folder: pathlib.Path, key: str, captions: Captions, *encoder_and_more) -> pathlib.Path:
    # On a shared disk the processes of several hosts may have the same number.
    handle, name = tempfile.mkstemp(suffix=".npy", dir=folder)
    os.close(handle)
    made = pathlib.Path(name)
    try:
        _encode_all(made, captions, *encoder_and_more)
        return made.rename(folder / f"{key}-{_checksum(made)}.npy")
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def _key(captions: Captions, encoder: nn.Module, variables, tokenizer) -> str:
    """A digest of all that decides the vectors."""
    digest = hashlib.sha256(f"{class_name(encoder)} {encoder!r}".encode())
    digest.update(weights.digest(variables).encode())
    digest.update(json.dumps(tokenizer.to_json(), sort_keys=True).encode())
    for texts in captions:
        digest.update(json.dumps(texts).encode())
    return digest.hexdigest()[:16]


def _checksum(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _claim(path: pathlib.Path) -> None:
    """Takes the room that a file needs. A disk that is found full when its memory map is written
    ends the process with SIGBUS instead of an OSError.
    """
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _encode_all(path, captions: Captions, encoder, variables, tokenizer, say) -> None:
    flat = [(i, j, text) for i, texts in enumerate(captions) for j, text in enumerate(texts)]
    if not flat:
        raise ValueError("the split has no captions to encode: set encoder.name='' for no text")
    encode = jax.jit(lambda ids, mask: encoder.apply(variables, ids, mask).sentence)
    table, rows = None, min(_ROWS, len(flat))
    with Waiting("encoding captions", say, done=0, total=len(flat)) as shown:
        for start in range(0, len(flat), rows):
            part = flat[start : start + rows]
            texts = [text for _, _, text in part] + [""] * (rows - len(part))
            vectors = np.asarray(encode(*tokenizer.encode(texts)))
            if table is None:
                shape = (len(captions), max(map(len, captions)), vectors.shape[-1])
                table = np.lib.format.open_memmap(path, "w+", np.float32, shape)
                _claim(path)
            records, columns = zip(*((i, j) for i, j, _ in part), strict=True)
            table[list(records), list(columns)] = vectors[: len(part)]
            shown.done += len(part)
        table.flush()
