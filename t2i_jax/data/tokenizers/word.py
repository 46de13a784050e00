"""The word vocabulary of AttnGAN (Xu et al., CVPR 2018), which DM-GAN and DF-GAN also use."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from t2i_jax.data.tokenizers.base import check_length, padded

END = "<end>"  # id 0; also the padding
_WORD = re.compile(r"\w+")


def caption_words(caption: str) -> list[str]:
    """The words of a caption by AttnGAN's rule.

    A doubled U+FFFD (a broken quote in the CUB files) is a blank, case is dropped, words are runs
    of ``\\w``, characters outside ASCII are removed from inside words, and words left empty are
    dropped.
    """
    runs = _WORD.findall(caption.replace("\ufffd\ufffd", " ").lower())
    words = (run.encode("ascii", "ignore").decode("ascii") for run in runs)
    return [word for word in words if word]


class WordTokenizer:
    """Words to ids; id 0 is ``<end>`` and the padding, words outside the vocabulary are left out.

    words: the vocabulary in id order, beginning with ``<end>``.
    length: T, words kept of a caption: 18 for birds, 12 (training) or 20 for COCO in AttnGAN.
    """

    name = "word"

    def __init__(self, words: Sequence[str], length: int = 18):
        if not words or words[0] != END:
            raise ValueError(f"word vocabulary: its first word must be {END!r} (id 0)")
        if len(set(words)) != len(words):
            raise ValueError("word vocabulary: a word occurs twice")
        self.length = check_length(length)
        self.words = list(words)
        self._id = {word: i for i, word in enumerate(self.words)}

    @classmethod
    def build(
        cls, images: Iterable[Iterable[str]], length: int = 18, captions: int | None = 10
    ) -> "WordTokenizer":
        """Every word of the first `captions` non-empty captions of each image (None: of all),
        numbered by first appearance. AttnGAN reads the training images first, then the test images,
        in the order of filenames.pickle; 10 captions for birds, 5 for COCO. Raises ValueError where
        no caption has a word.
        """
        seen = {END: 0}
        for lines in images:
            found = (words for words in map(caption_words, lines) if words)
            for words in islice(found, captions):
                for word in words:
                    seen.setdefault(word, len(seen))
        if len(seen) == 1:
            raise ValueError(
                "word vocabulary: no caption has a word (a run of ASCII letters or digits); give "
                "captions that do, or tokenizer.words"
            )
        return cls(list(seen), length)

    @classmethod
    def from_config(
        cls,
        length: int = 18,
        words: Sequence[str] | None = None,
        captions_pickle: str | None = None,
        images: Iterable[Iterable[str]] | None = None,
        captions: int | None = 10,
    ) -> "WordTokenizer":
        """Options: `length`, and where the vocabulary is from: `words` in id order, or
        `captions_pickle` (the path of AttnGAN's captions.pickle); with neither (None or empty) it
        is built from the first `captions` captions of each of `images`, see `build`.

        images: lists of captions, such as `t2i_jax.data.prepared.captions_of` gives. They are not
          read where `words` or `captions_pickle` is given.
        """
        if words and captions_pickle:
            raise ValueError(
                "tokenizer.words and tokenizer.captions_pickle are both given: leave one empty"
            )
        if words:
            return cls(words, length)
        if captions_pickle:
            return cls(_pickled_words(captions_pickle), length)
        if images is None:
            raise ValueError(
                "the word tokenizer has no vocabulary: set tokenizer.words or "
                "tokenizer.captions_pickle, or give it captions to build one from (images)"
            )
        return cls.build(images, length, captions)

    @property
    def vocab_size(self) -> int:
        return len(self.words)

    def _ids(self, text: str) -> list[int]:
        ids = [self._id[word] for word in caption_words(text) if word in self._id]
        return ids or [0]  # a text without a known word is the single token <end>

    def encode(
        self, texts: Sequence[str], rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ids [N, T] int32 and mask. A longer caption keeps its first T words or, where `rng` is
        given, a random T of them in their order (AttnGAN's training).
        """
        return padded([self._cut(self._ids(text), rng) for text in texts], self.length)

    def _cut(self, ids: list[int], rng: np.random.Generator | None) -> list[int]:
        if len(ids) <= self.length or rng is None:
            return ids[: self.length]
        return [ids[i] for i in np.sort(rng.permutation(len(ids))[: self.length])]

    def count(self, text: str) -> int:
        return len(self._ids(text))

    def decode(self, ids: np.ndarray) -> list[str]:
        return [" ".join(self.words[i] for i in row if i) for row in np.asarray(ids)]

    def unknown(self, text: str) -> list[str]:
        """Words outside the vocabulary, among them those without a letter or digit of ASCII, and,
        where a text has no words at all, the text itself.
        """
        words = _WORD.findall(text.replace("\ufffd\ufffd", " ").lower())
        if not words and text.strip():
            return [text.strip()]
        read = {word: word.encode("ascii", "ignore").decode("ascii") for word in words}
        return list(dict.fromkeys(o or word for word, o in read.items() if o not in self._id))

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "length": self.length, "words": self.words}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "WordTokenizer":
        return cls(state["words"], state["length"])


def _pickled_words(path: str) -> list[str]:
    """The vocabulary of AttnGAN's captions.pickle: [train, test, ixtoword, wordtoix]."""
    from t2i_jax.data import pickles

    content = pickles.load(path)
    if not (isinstance(content, list) and len(content) == 4 and isinstance(content[2], dict)):
        raise ValueError(
            f"{path}: not AttnGAN's captions.pickle, a list of train captions, test captions, "
            "ixtoword and wordtoix"
        )
    names = content[2]
    if sorted(names) != list(range(len(names))) or names[0] != END:
        raise ValueError(f"{path}: ixtoword does not number its words from 0 ({END!r}) on")
    if len(names) < 2:
        raise ValueError(f"{path}: a vocabulary of one word: a known broken download, get it anew")
    return [names[i] for i in range(len(names))]
