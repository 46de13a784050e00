"""Every caption of a split, encoded once by a frozen encoder.

A frozen encoder gives the same vectors at every step; encoding the split before training costs one
pass and leaves the step with the GAN alone. Only sentence vectors are kept (for CUB 363 MB on
disk), memory-mapped; encoders whose word vectors a recipe needs are run in the step instead.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Callable

import flax.linen as nn
import jax
import numpy as np

from t2i_jax.data import tokenizers

_ROWS = 512  # captions encoded at a time


def fingerprint(encoder: nn.Module, variables, tokenizer: tokenizers.Tokenizer, options) -> str:
    """A digest of all that decides the vectors: networks, tokenizer and split."""
    digest = hashlib.sha256(repr(encoder).encode())
    digest.update(json.dumps(tokenizer.to_json(), sort_keys=True).encode())
    digest.update(f"{options.name}|{options.data_dir}|{options.split}".encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        digest.update(jax.tree_util.keystr(path).encode())
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def sentences(
    folder: pathlib.Path,
    name: str,
    source,
    encoder: nn.Module,
    variables,
    tokenizer: tokenizers.Tokenizer,
    say: Callable[[str], None] = print,
) -> np.ndarray:
    """[records, captions, E] float32, memory-mapped from ``folder/<name>.npy``; made if missing.

    Rows beyond a record's own captions are zero and never drawn.
    """
    path = folder / f"{name}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.npy")
        _encode_all(temporary, source, encoder, variables, tokenizer, say)
        os.replace(temporary, path)
    return np.load(path, mmap_mode="r")


def _encode_all(path, source, encoder, variables, tokenizer, say) -> None:
    captions = [source[i]["captions"] for i in range(len(source))]
    flat = [(i, j, text) for i, texts in enumerate(captions) for j, text in enumerate(texts)]
    if not flat:
        raise ValueError("the split has no captions to encode: set encoder.name='' for no text")
    encode = jax.jit(lambda ids, mask: encoder.apply(variables, ids, mask).sentence)
    table = None
    for start in range(0, len(flat), _ROWS):
        part = flat[start : start + _ROWS]
        texts = [text for _, _, text in part] + [""] * (_ROWS - len(part))
        vectors = np.asarray(encode(*tokenizer.encode(texts)))
        if table is None:
            shape = (len(source), max(map(len, captions)), vectors.shape[-1])
            table = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        records, columns = zip(*((i, j) for i, j, _ in part), strict=True)
        table[list(records), list(columns)] = vectors[: len(part)]
        if start // _ROWS % 20 == 0:
            say(f"encoding captions: {start + len(part):,}/{len(flat):,}")
    table.flush()
