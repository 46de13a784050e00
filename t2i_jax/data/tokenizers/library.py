"""Tokenizers that the `tokenizers` library does the work of."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tokenizers

from t2i_jax import paths
from t2i_jax.data.tokenizers.base import check_length, padded


class LibraryTokenizer:
    """Rows cut to `length` ids, of which the last is then still the token that ends a text.

    model: its own padding and truncation are replaced, and the names of special tokens in a caption
      are text like any other.
    pad: the id that rows are filled up with. unknown: the one of parts that have no other.
    """

    name: str

    def __init__(self, model: tokenizers.Tokenizer, length: int, pad: int, unknown: int | None):
        self.length = check_length(length)
        model.no_padding()
        # Truncation and padding are ours: `count` needs the whole text.
        model.no_truncation()
        model.encode_special_tokens = True
        self._model, self._pad, self._unknown = model, pad, unknown
        self._end = model.encode("").ids[-1:]  # where the model adds one

    @property
    def vocab_size(self) -> int:
        return self._model.get_vocab_size()

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids [N, T] int32 and mask [N, T], True on pieces and on what the model adds to them."""
        rows = [self._cut(self._model.encode(text).ids) for text in texts]
        return padded(rows, self.length, self._pad)

    def _cut(self, ids: list[int]) -> list[int]:
        if len(ids) <= self.length:
            return ids
        return ids[: self.length - len(self._end)] + self._end

    def count(self, text: str) -> int:
        return len(self._model.encode(text).ids)

    def decode(self, ids: np.ndarray) -> list[str]:
        return self._model.decode_batch(np.asarray(ids).tolist())

    def unknown(self, text: str) -> list[str]:
        encoding = self._model.encode(text)
        spans = [
            span
            for i, span in zip(encoding.ids, encoding.offsets, strict=True)
            if i == self._unknown and span[0] < span[1]  # added tokens have none
        ]
        return list(dict.fromkeys(text[begin:end] for begin, end in spans))

    def to_json(self) -> dict[str, Any]:
        model = json.loads(self._model.to_str())
        return {"name": self.name, "length": self.length, "model": model}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "LibraryTokenizer":
        return cls(tokenizers.Tokenizer.from_str(json.dumps(state["model"])), state["length"])

    def __reduce__(self):
        # The library's own pickles forget how special tokens in a text are read.
        return type(self).from_json, (self.to_json(),)


def read(file: paths.Path) -> tokenizers.Tokenizer:
    """A ``tokenizer.json``; ValueError, with its name, for anything else."""
    try:
        return tokenizers.Tokenizer.from_buffer(paths.read_bytes(file))
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"{file}: not a tokenizer.json: {error}") from error
