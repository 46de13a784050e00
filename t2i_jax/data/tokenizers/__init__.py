"""From captions to token ids, behind one small interface.

Three tokenizers: characters (char-CNN-RNN), words (AttnGAN's vocabulary rule) and WordPiece (BERT).
A tokenizer's whole state is a JSON dict that a run keeps, so a caption means the same ids when
sampling as it did in training.
"""

from collections.abc import Mapping
from typing import Any

from t2i_jax.data.tokenizers.base import Tokenizer
from t2i_jax.data.tokenizers.char import CharTokenizer
from t2i_jax.data.tokenizers.word import WordTokenizer, caption_words
from t2i_jax.data.tokenizers.wordpiece import WordPieceTokenizer

__all__ = [
    "TOKENIZERS",
    "VOCABULARY",
    "CharTokenizer",
    "Tokenizer",
    "WordPieceTokenizer",
    "WordTokenizer",
    "caption_words",
    "from_config",
    "from_json",
]

VOCABULARY = ("words", "model")  # the fields of a state that hold one
TOKENIZERS = {cls.name: cls for cls in (CharTokenizer, WordTokenizer, WordPieceTokenizer)}


def _class(name: str):
    if name not in TOKENIZERS:
        raise ValueError(f"tokenizer: no {name!r}; there are {sorted(TOKENIZERS)}")
    return TOKENIZERS[name]


def from_json(state: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer whose `to_json` gave `state`. Raises ValueError for an unknown name."""
    if "name" not in state:
        raise ValueError(f"tokenizer state: no field 'name' among {sorted(state)}")
    return _class(state["name"]).from_json(state)


def changed(state: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A tokenizer's state with other values of its fields: of its length, say, not of its name or
    vocabulary, which decide what the ids mean.
    """
    kept = ("name", *VOCABULARY)
    return {k: v if k in kept else fields.get(k, v) for k, v in state.items()}


def from_config(name: str, **options) -> Tokenizer:
    """A new tokenizer from a config's fields; each class's `from_config` lists its options."""
    return _class(name).from_config(**options)
