"""Which captions of a record a training example gets, which part of a long one, and what of them a
tokenizer does not read.
"""

import collections
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from t2i_jax.data.tokenizers import Tokenizer

MOST = 1000  # records that are looked at for the lengths of their captions

_LISTED = 5  # unknown words that are named
_MARKS = re.compile(r"\[[A-Z]+\]|\ufffd")  # what decoding writes for tokens that are no text
_REMEDIES = {  # where a tokenizer reads nothing of a set
    "char": "it reads English letters, capitals but in tokenizer.mode=case_sensitive; give English "
    "captions, or take encoder.name=bert with a model that knows the language",
    "word": "its vocabulary is that of other captions; give captions in its language, or train an "
    "encoder on these",
    "wordpiece": "its vocabulary is that of another language; give encoder.source (or "
    "tokenizer.path) of a model that knows this one",
}

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


def read_back(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """What a tokenizer keeps of texts, in words: without marks for what it does not know."""
    return [_MARKS.sub("", text).strip() for text in tokenizer.decode(tokenizer.encode(texts)[0])]


def reading_notes(
    source: Sequence[Mapping[str, Any]], tokenizer: Tokenizer, truncate: str
) -> list[str]:
    """What a tokenizer does not read of a split's captions, in words; nothing where it reads all.

    source: the records; `MOST` of them, drawn once and for all, are looked at.

    Raises ValueError, with a remedy, where no caption has a letter or digit that it knows.
    """
    records = np.random.default_rng(0).permutation(len(source))[:MOST]
    texts = [text for i in records for text in source[int(i)]["captions"]]
    if not texts:
        return []
    if len(unread := _unread(texts, tokenizer)) == len(texts):
        raise ValueError(
            f"the tokenizer {tokenizer.name!r} knows no letter or digit of the {len(texts):,} "
            f"captions looked at, such as {_shown(texts[0])}: {_REMEDIES.get(tokenizer.name, '')}"
        )
    return _notes(texts, unread, tokenizer, f" (data.truncate={truncate!r})")


def text_notes(texts: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """The same of any captions, all of which are looked at."""
    return _notes(texts, _unread(texts, tokenizer), tokenizer, "")


def _unread(texts: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """The texts of which no letter or digit is read."""
    return [
        text
        for text, read in zip(texts, read_back(tokenizer, texts), strict=True)
        if not any(c.isalnum() for c in read)
    ]


def _notes(
    texts: Sequence[str], unread: Sequence[str], tokenizer: Tokenizer, how: str
) -> list[str]:
    notes = _unknown_notes(texts, tokenizer)
    if unread:
        notes.append(f"{_share(unread, texts)} cannot be read at all: {_shown(unread[0])}")
    return notes + _cut_notes(texts, tokenizer, how)


def _unknown_notes(texts: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    unknown = [parts for text in texts if (parts := tokenizer.unknown(text))]
    if not unknown:
        return []
    counts = collections.Counter(part for parts in unknown for part in parts)
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_LISTED]
    listed = ", ".join(f"{_shown(part)} in {n:,}" for part, n in most)
    more = f" and {len(counts) - _LISTED:,} others" if len(counts) > _LISTED else ""
    kind = "characters" if tokenizer.name == "char" else "words"
    return [
        f"{_share(unknown, texts)} have {kind} that the text encoder does not know: {listed}{more}"
    ]


def _cut_notes(texts: Sequence[str], tokenizer: Tokenizer, how: str) -> list[str]:
    counts = [tokenizer.count(text) for text in texts]
    cut = [count for count in counts if count > tokenizer.length]
    if not cut:
        return []
    return [
        f"{_share(cut, texts)} are longer than tokenizer.length={tokenizer.length} and are "
        f"cut{how}; the longest has {max(counts):,} ids"
    ]


def _share(part: Sequence[Any], texts: Sequence[str]) -> str:
    return f"{len(part):,} of {len(texts):,} captions looked at"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
