"""BERT's WordPiece (Devlin et al., 2018), through the `tokenizers` library."""

import json
from collections.abc import Mapping
from typing import Any

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors

from t2i_jax import paths
from t2i_jax.data.tokenizers.library import LibraryTokenizer, read

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


_FILES = ("tokenizer.json", "vocab.txt")  # of a folder, the first that is there
_READING = {  # fields of tokenizer_config.json and options of `normalizers.BertNormalizer`
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


class WordPieceTokenizer(LibraryTokenizer):
    """``[CLS] pieces [SEP]`` cut to `length` ids (the last is then still [SEP]), padded with [PAD].

    XMC-GAN takes 17 ids for COCO captions and 64 for Localized Narratives; of CUB's captions, 17
    cut 49 in 100 and the default 4.
    """

    name = "wordpiece"

    def __init__(self, model: tokenizers.Tokenizer, length: int = 32):
        pad, unknown = model.token_to_id("[PAD]") or 0, model.token_to_id("[UNK]")
        super().__init__(model, length, pad, unknown)

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
            return cls(read(file), length)
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
