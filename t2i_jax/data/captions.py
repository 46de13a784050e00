"""Which captions of a record a training example gets, and which part of a long one."""

import re

import numpy as np

from t2i_jax.data.tokenizers import Tokenizer

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
