"""The character tokenizer of char-CNN-RNN (Reed et al., CVPR 2016, and their public code)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from t2i_jax.choices import check_choice
from t2i_jax.data.tokenizers.base import check_length, padded

# Id 1 is the first character; the minus sign occurs twice and the later place (60) is used.
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
MODES = ("lower", "case_sensitive", "cut_at_zero", "unknown_as_space")
_TABLE = np.zeros(256, np.int32)
for _i, _c in enumerate(ALPHABET, start=1):
    _TABLE[ord(_c)] = _i
_SPACE = int(_TABLE[ord(" ")])


class CharTokenizer:
    """Characters to ids 1..70; 0 means "no character" (an all-zero one-hot row).

    Four readings are in circulation, by `mode`:
      "lower": lower-cased; an unknown byte of the UTF-8 text leaves a zero and reading goes on.
      "case_sensitive": the same without lower-casing, so capitals are unknown (both Lua demos).
      "cut_at_zero": as "lower", but reading stops at the first zero (the encoder's own training).
      "unknown_as_space": lower-cased, each unknown character a space (the PyTorch port).
    They agree on clean lower-case text.
    """

    name = "char"

    def __init__(self, length: int = 201, mode: str = "lower"):
        check_choice("tokenizer.mode", mode, MODES)
        self.length = check_length(length)
        self.mode = mode

    @classmethod
    def from_config(cls, length: int = 201, mode: str = "lower") -> "CharTokenizer":
        """Options: `length` and `mode`, as above."""
        return cls(length, mode)

    @property
    def vocab_size(self) -> int:
        return len(ALPHABET) + 1

    def _ids(self, text: str) -> np.ndarray:
        if self.mode != "case_sensitive":
            text = text.lower()
        if self.mode == "unknown_as_space":
            points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
            ids = _TABLE[np.minimum(points, 255)]  # 255 is unknown, as all above it
            return np.where(ids == 0, _SPACE, ids)
        ids = _TABLE[np.frombuffer(text.encode("utf-8"), np.uint8)]
        if self.mode == "cut_at_zero":
            zeros = np.flatnonzero(ids == 0)
            ids = ids[: zeros[0]] if zeros.size else ids
        return ids

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids [N, T] int32; the mask [N, T] is True on every place that the text fills, unknown
        characters included.
        """
        return padded([self._ids(text)[: self.length] for text in texts], self.length)

    def count(self, text: str) -> int:
        return len(self._ids(text))

    def decode(self, ids: np.ndarray) -> list[str]:
        """Texts; an unknown place inside a text becomes U+FFFD."""
        symbols = "\ufffd" + ALPHABET
        return ["".join(symbols[i] for i in row).rstrip("\ufffd") for row in np.asarray(ids)]

    def unknown(self, text: str) -> list[str]:
        if self.mode != "case_sensitive":
            text = text.lower()
        return list(dict.fromkeys(c for c in text if c not in ALPHABET))

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "length": self.length, "mode": self.mode}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "CharTokenizer":
        return cls(state["length"], state["mode"])
