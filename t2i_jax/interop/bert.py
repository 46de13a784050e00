"""Folders of BERT-shaped encoders as Hugging Face keeps them -> our modules and variables.

Read are ``config.json``, ``model.safetensors`` or ``pytorch_model.bin``, and
``1_Pooling/config.json`` of sentence encoders; the vocabulary beside them is the tokenizer's
business (`t2i_jax.data.tokenizers.WordPieceTokenizer`). Heads for other tasks (pooler, masked
words) are passed over, and so is the prefix ``bert.`` that models with such heads have.
"""

import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax import paths
from t2i_jax.encoders.bert import ACTIVATIONS, TextEncoder
from t2i_jax.interop import files, published
from t2i_jax.interop.hugging_face import CONFIG, WEIGHTS, checked, read_json, read_weights
from t2i_jax.interop.state_dict import Layers, StateDict, clean, to_state_dict, to_variables

POOLING = "1_Pooling/config.json"

# Our fields and config.json's.
_FIELDS = {
    "vocab_size": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "inner": "intermediate_size",
    "positions": "max_position_embeddings",
    "types": "type_vocab_size",
    "activation": "hidden_act",
    "epsilon": "layer_norm_eps",
}
_REQUIRED = {  # field of config.json: (what it must be, what it is where it is absent)
    "model_type": ("bert", "bert"),
    "position_embedding_type": ("absolute", "absolute"),
    "is_decoder": (False, False),
}
_TABLES = {
    "embeddings.word_embeddings.weight": "words",
    "embeddings.position_embeddings.weight": "positions",
    "embeddings.token_type_embeddings.weight": "types",
}
_LAYER = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "out",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "inner",
    "output.dense": "outer",
    "output.LayerNorm": "norm",
}
_UNUSED = ("pooler.", "cls.", "embeddings.position_ids")
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first"}


def read(path: str | os.PathLike, pooling: str = "") -> tuple[TextEncoder, dict]:
    """(module, ``{"params": ...}``) of a folder.

    pooling: of the module; "" is what the folder says, the mean where it says nothing.

    Raises ValueError, with file and field, where the folder is no BERT's or its weights do not fit.
    """
    folder = paths.path(path)
    fields = {**_described(folder), "pooling": pooling or _pooling(folder)}
    file, state = read_weights(folder)
    return files.named(file, lambda s: import_state(s, **fields), state)


def import_state(state: Mapping[str, np.ndarray], **fields: Any) -> tuple[TextEncoder, dict]:
    """(module, ``{"params": ...}``) of a state dict; `fields` are the module's.

    Raises ValueError that names arrays missing, unknown, misshapen or not finite.
    """
    module = TextEncoder(**fields)
    state = _named_anew(state)
    tokens = jnp.zeros((1, 1), jnp.int32)
    empty = published.empty(lambda: module.init(jax.random.key(0), tokens))
    shapes = {name: array.shape for name, array in export_state(empty).items()}
    published.check(state, shapes, "the BERT that config.json describes")
    tables = {ours: np.asarray(state.pop(theirs), np.float32) for theirs, ours in _TABLES.items()}
    params = to_variables(state, layers(module.layers))["params"]
    return module, {"params": {**tables, **params}}


def export_state(variables: Mapping[str, Any]) -> StateDict:
    """The inverse of `import_state`: a state dict without prefix and heads."""
    params = dict(variables["params"])
    tables = {theirs: np.asarray(params.pop(ours)) for theirs, ours in _TABLES.items()}
    count = sum(name.startswith("layer") for name in params)
    return {**tables, **to_state_dict({"params": params}, layers(count))}


def layers(count: int) -> Layers:
    """The publisher's layer names and our paths."""
    names: dict[str, tuple[str, ...]] = {"embeddings.LayerNorm": ("embedding_norm",)}
    for i in range(count):
        names |= {f"encoder.layer.{i}.{k}": (f"layer{i + 1}", v) for k, v in _LAYER.items()}
    return names


def _named_anew(state: Mapping[str, np.ndarray]) -> StateDict:
    """Without prefix and heads, and with today's names of layer norms."""
    named = {}
    for name, array in clean(state).items():
        name = name.removeprefix("bert.")
        for old, new in _OLD_NAMES.items():
            name = name.replace(old, new)
        if not name.startswith(_UNUSED):
            named[name] = array
    return named


def _described(folder: paths.Path) -> dict[str, Any]:
    """The module's fields but its pooling."""
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(
            f"{folder}: no {CONFIG} there; a folder of a BERT has {CONFIG}, "
            f"{' or '.join(WEIGHTS)}, and tokenizer.json or vocab.txt"
        )
    told = read_json(path)
    for name, (wanted, default) in _REQUIRED.items():
        if (found := told.get(name, default)) != wanted:
            raise ValueError(
                f"{path}: {name}={found!r}, but only encoders with {wanted!r} are read"
            )
    return checked(os.fspath(path), told, _FIELDS, ACTIVATIONS)


def _pooling(folder: paths.Path) -> str:
    path = folder / POOLING
    if not path.is_file():
        return "mean"
    told = read_json(path)
    chosen = [name for name, on in told.items() if name.startswith("pooling_mode_") and on is True]
    if len(chosen) != 1 or chosen[0] not in _POOLINGS:
        raise ValueError(
            f"{path}: {', '.join(chosen) or 'no pooling'}; known are {', '.join(_POOLINGS)}: "
            "choose one with encoder.fields.pooling (mean, first)"
        )
    return _POOLINGS[chosen[0]]


PARTS = {"text": read}
