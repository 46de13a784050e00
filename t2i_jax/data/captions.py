"""Which captions of a record a training example gets, and which part of a long one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from t2i_jax.data.tokenizers import Tokenizer

MOST = 1000  # records that are looked at for the lengths of their captions

TRUNCATIONS = ("head", "sentences", "thin")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def choose(count: int, wanted: int, replace: bool, rng: np.random.Generator) -> np.ndarray:
    """`wanted` of `count` captions, as indices.

    Without replacement as far as `count` goes: a record with fewer captions repeats them as evenly
    as can be. With `replace` (GAN-CLS's public code) each is drawn by itself.
    """
    if wanted == 1 or replace:
        return np.array([rng.integers(count) for _ in range(wanted)])
    rounds = [rng.permutation(count) for _ in range(-(-wanted // count))]
    return np.concatenate(rounds)[:wanted]


def sentence_window(text: str, tokenizer: Tokenizer, rng: np.random.Generator) -> str:
    """A run of whole sentences of a narrative that is longer than the tokenizer's rows.

    The run begins at a uniform sentence among those from which it need not stop for want of text
    (so a short last sentence is no window of its own) and is as long as fits. A first sentence that
    is too long by itself stays, to be cut by the tokenizer.
    """
    if tokenizer.count(text) <= tokenizer.length:
        return text
    sentences = _SENTENCE_END.split(text.strip())
    last = len(sentences) - 1
    while last > 0 and tokenizer.count(" ".join(sentences[last - 1 :])) <= tokenizer.length:
        last -= 1
    begin = int(rng.integers(last + 1))
    end = begin + 1
    while end < len(sentences):
        if tokenizer.count(" ".join(sentences[begin : end + 1])) > tokenizer.length:
            break
        end += 1
    return " ".join(sentences[begin:end])


def cut_note(source: Sequence[Mapping[str, Any]], tokenizer: Tokenizer, truncate: str) -> str:
    """How many captions are longer than the tokenizer's rows, in words; "" where none is.

    source: the records; `MOST` of them, drawn once and for all, are looked at.
    """
    records = np.random.default_rng(0).permutation(len(source))[:MOST]
    counts = [tokenizer.count(text) for i in records for text in source[int(i)]["captions"]]
    cut = sum(count > tokenizer.length for count in counts)
    if not cut:
        return ""
    return (
        f"{cut:,} of {len(counts):,} captions looked at are longer than tokenizer.length="
        f"{tokenizer.length} and are cut (data.truncate={truncate!r}); the longest has "
        f"{max(counts):,} ids"
    )
