"""BERT's WordPiece (Devlin et al., 2018), through the `tokenizers` library."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors

from t2i_jax import paths
from t2i_jax.data.tokenizers.base import check_length, padded

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


_FILES = ("tokenizer.json", "vocab.txt")  # of a folder, the first that is there
_READING = {  # fields of tokenizer_config.json and options of `normalizers.BertNormalizer`
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


class WordPieceTokenizer:
    """``[CLS] pieces [SEP]`` cut to `length` ids (the last is then still [SEP]), padded with [PAD].

    XMC-GAN takes 17 ids for COCO captions and 64 for Localized Narratives; of CUB's captions, 17
    cut 49 in 100 and the default 4.

    model: a `tokenizers.Tokenizer`; its own padding and truncation are replaced, and the names of
      special tokens in a caption are text like any other.
    """

    name = "wordpiece"

    def __init__(self, model: tokenizers.Tokenizer, length: int = 32):
        self.length = check_length(length)
        model.no_padding()
        # Truncation and padding are ours: `count` needs the whole text.
        model.no_truncation()
        model.encode_special_tokens = True
        self._model = model
        self._pad = model.token_to_id("[PAD]") or 0
        self._unknown = model.token_to_id("[UNK]")
        self._end = model.encode("").ids[-1:]  # [SEP], where the model adds one

    @classmethod
    def from_file(cls, path: str, length: int = 32, lowercase: bool = True) -> "WordPieceTokenizer":
        """From BERT's ``vocab.txt`` (one piece a line; `lowercase` as the model was trained), a
        ``tokenizer.json`` (which says itself how it reads text), or the folder of either, where a
        ``tokenizer_config.json`` tells how the pieces of vocab.txt are read.
        """
        file, reading = paths.path(path), {"lowercase": lowercase}
        if file.is_dir():
            file = next((f for name in _FILES if (f := file / name).is_file()), file)
            reading |= _reading(file.parent / "tokenizer_config.json")
        if not paths.exists(file) or file.is_dir():
            raise ValueError(
                f"tokenizer.path: no file {path}, nor a folder with tokenizer.json or vocab.txt"
            )
        if file.suffix == ".json":
            try:
                return cls(tokenizers.Tokenizer.from_buffer(paths.read_bytes(file)), length)
            except Exception as error:  # the library raises bare Exception
                raise ValueError(f"{file}: not a tokenizer.json: {error}") from error
        # Pieces end at "\n" alone: BERT's vocabularies hold characters at which Python's
        # splitlines and universal line ends would break a line in two, and shift all ids after it.
        lines = paths.read_bytes(file).decode("utf-8").removesuffix("\n").split("\n")
        pieces = [line.removesuffix("\r") for line in lines]
        return cls(_bert({piece: i for i, piece in enumerate(pieces)}, reading, file), length)

    @classmethod
    def from_config(
        cls, path: str = "", length: int = 32, lowercase: bool = True
    ) -> "WordPieceTokenizer":
        """Options: `path` of vocab.txt, tokenizer.json or their folder, `length`, `lowercase`
        (vocab.txt). A training without a path takes the folder of its encoder.
        """
        if not path:
            raise ValueError("tokenizer.path is empty: name BERT's tokenizer.json or vocab.txt")
        return cls.from_file(path, length, lowercase)

    @property
    def vocab_size(self) -> int:
        return self._model.get_vocab_size()

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids [N, T] int32 and mask [N, T], True on pieces and on [CLS] and [SEP]."""
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
            if i == self._unknown
        ]
        return list(dict.fromkeys(text[begin:end] for begin, end in spans))

    def to_json(self) -> dict[str, Any]:
        model = json.loads(self._model.to_str())
        return {"name": self.name, "length": self.length, "model": model}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "WordPieceTokenizer":
        return cls(tokenizers.Tokenizer.from_str(json.dumps(state["model"])), state["length"])

    def __reduce__(self):
        # The library's own pickles forget how special tokens in a text are read.
        return WordPieceTokenizer.from_json, (self.to_json(),)


def _reading(path: paths.Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        told = json.loads(paths.read_bytes(path))
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from error
    return {ours: told[theirs] for theirs, ours in _READING.items() if theirs in told}


def _bert(
    vocab: dict[str, int], reading: Mapping[str, Any], path: paths.Path
) -> tokenizers.Tokenizer:
    missing = [token for token in _SPECIAL if token not in vocab]
    if missing:
        raise ValueError(f"{path}: not a BERT vocabulary: it lacks {missing}")
    model = tokenizers.Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    model.normalizer = normalizers.BertNormalizer(**reading)
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    model.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, vocab[token]) for token in ("[CLS]", "[SEP]")],
    )
    model.decoder = tokenizers.decoders.WordPiece()
    model.add_special_tokens(["[PAD]", "[CLS]", "[SEP]"])  # left out when decoding
    return model
