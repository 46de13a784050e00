"""Folders of CLIP models as Hugging Face keeps them -> our modules and variables.

Read are ``config.json``, the weights (``model.safetensors`` or ``pytorch_model.bin``, or the index
of several), ``preprocessor_config.json``, and the tokenizer's files (``tokenizer.json``, or
``vocab.json`` and ``merges.txt``).
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax import paths
from t2i_jax.data.tokenizers.byte_pair import ClipTokenizer
from t2i_jax.encoders.clip import ACTIVATIONS, HIGHEST_ID, ImageTransformer, TextTransformer
from t2i_jax.interop import clip_images, files, published
from t2i_jax.interop.hugging_face import CONFIG, WEIGHTS, checked, read_json, read_weights
from t2i_jax.interop.state_dict import Layers, StateDict, clean, to_state_dict, to_variables

PREPROCESSOR = "preprocessor_config.json"
FILES = (CONFIG, WEIGHTS[0], PREPROCESSOR, "vocab.json", "merges.txt")  # those of a whole folder

# Our fields and config.json's, which leaves out those with the usual value: ours are the same.
_COMMON = {
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "inner": "intermediate_size",
    "activation": "hidden_act",
    "epsilon": "layer_norm_eps",
}
_TEXT = {
    **_COMMON,
    "vocab_size": "vocab_size",
    "positions": "max_position_embeddings",
    "end": "eos_token_id",
}
_IMAGE = {**_COMMON, "image_size": "image_size", "patch": "patch_size"}
_EMBEDDING = {"embedding": "projection_dim"}
_SCALE = "logit_scale"
_LAYER = {
    "layer_norm1": "attention_norm",
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.out_proj": "out",
    "layer_norm2": "norm",
    "mlp.fc1": "inner",
    "mlp.fc2": "outer",
}


@dataclasses.dataclass(frozen=True)
class _Names:
    """What one half of a published model calls its arrays.

    encoder: the start of most names. tables: arrays that belong to no layer, as theirs -> ours.
    others: names of the layers that are there once.
    """

    encoder: str
    tables: Mapping[str, str]
    others: Layers

    def layers(self, count: int) -> Layers:
        names = dict(self.others)
        for i in range(count):
            start = f"{self.encoder}.encoder.layers.{i}"
            names |= {f"{start}.{k}": (f"layer{i + 1}", v) for k, v in _LAYER.items()}
        return names


_TEXT_NAMES = _Names(
    "text_model",
    {
        "text_model.embeddings.token_embedding.weight": "words",
        "text_model.embeddings.position_embedding.weight": "positions",
    },
    {"text_model.final_layer_norm": ("final_norm",), "text_projection": ("projection",)},
)
_IMAGE_NAMES = _Names(
    "vision_model",
    {
        "vision_model.embeddings.class_embedding": "class_token",
        "vision_model.embeddings.position_embedding.weight": "positions",
    },
    {
        "vision_model.embeddings.patch_embedding": ("patches",),
        "vision_model.pre_layrnorm": ("first_norm",),  # so it is spelt
        "vision_model.post_layernorm": ("final_norm",),
        "visual_projection": ("projection",),
    },
)
_UNUSED = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")


@dataclasses.dataclass(frozen=True)
class Clip:
    """text, image: (module, ``{"params": ...}``). logit_scale: by which cosines were multiplied in
    training. preprocessing, tokenizer: None where a state dict alone was read.
    """

    text: tuple[TextTransformer, dict]
    image: tuple[ImageTransformer, dict]
    logit_scale: float
    preprocessing: clip_images.Preprocessing | None = None
    tokenizer: ClipTokenizer | None = None


def read(path: str | os.PathLike) -> Clip:
    """The model of a folder.

    Raises ValueError, with file and field, where the folder is no CLIP's, lacks a file, or its
    files do not fit each other.
    """
    folder = paths.path(path)
    if not (folder / CONFIG).is_file():
        raise ValueError(
            f"{folder}: no {CONFIG} there; a folder of a CLIP has {', '.join(FILES)} (or "
            f"{WEIGHTS[1]} and tokenizer.json)"
        )
    text, image = _described(folder / CONFIG)
    preprocessing = clip_images.read(folder / PREPROCESSOR, image.image_size)
    tokenizer = ClipTokenizer.from_file(folder, text.positions)
    _check_tokenizer(folder, tokenizer, text)
    file, state = read_weights(folder)
    pairs = files.named(file, lambda s: import_state(s, text, image), state)
    return Clip(*pairs, preprocessing, tokenizer)


def import_state(
    state: Mapping[str, np.ndarray], text: TextTransformer, image: ImageTransformer
) -> tuple[tuple[TextTransformer, dict], tuple[ImageTransformer, dict], float]:
    """(text, image, logit_scale) of `Clip` from a state dict.

    Raises ValueError that names arrays missing, unknown, misshapen or not finite.
    """
    state = {name: array for name, array in clean(state).items() if name not in _UNUSED}
    tokens = jnp.zeros((1, 1), jnp.int32)
    pixels = jnp.zeros((1, image.image_size, image.image_size, 3))
    empty = [
        published.empty(lambda m=module, x=example: m.init(jax.random.key(0), x))
        for module, example in ((text, tokens), (image, pixels))
    ]
    shapes = {name: array.shape for name, array in export_state(*empty).items()}
    published.check(state, shapes, f"the CLIP that {CONFIG} describes")
    pairs = ((text, _taken(state, _TEXT_NAMES)), (image, _taken(state, _IMAGE_NAMES)))
    return *pairs, float(np.exp(np.float32(state[_SCALE])))


def export_state(
    text: Mapping[str, Any], image: Mapping[str, Any], logit_scale: float = 1.0
) -> StateDict:
    """The inverse of `import_state`, from the variables of both halves."""
    found = {_SCALE: np.asarray(np.log(np.float32(logit_scale)))}
    for variables, names in ((text, _TEXT_NAMES), (image, _IMAGE_NAMES)):
        params = dict(variables["params"])
        found |= {theirs: np.asarray(params.pop(ours)) for theirs, ours in names.tables.items()}
        count = sum(name.startswith("layer") for name in params)
        found |= to_state_dict({"params": params}, names.layers(count))
    return found


def _taken(state: Mapping[str, np.ndarray], names: _Names) -> dict:
    """The variables of one half."""
    starts = (f"{names.encoder}.", *names.others)
    own = {name: array for name, array in state.items() if name.startswith(starts)}
    tables = {
        ours: np.asarray(own.pop(theirs), np.float32) for theirs, ours in names.tables.items()
    }
    count = sum(name.endswith(".mlp.fc1.weight") for name in own)
    return {"params": {**tables, **to_variables(own, names.layers(count))["params"]}}


def _described(path: paths.Path) -> tuple[TextTransformer, ImageTransformer]:
    told = read_json(path)
    if (kind := told.get("model_type")) != "clip":
        raise ValueError(f"{path}: model_type={kind!r}, but only models with 'clip' are read")
    embedding = _fields(path, told, _EMBEDDING, TextTransformer)
    halves = []
    for cls, name, fields in (
        (TextTransformer, "text_config", _TEXT),
        (ImageTransformer, "vision_config", _IMAGE),
    ):
        section = _section(path, told, name)
        halves.append(cls(**_fields(f"{path}: {name}", section, fields, cls), **embedding))
    if (channels := _section(path, told, "vision_config").get("num_channels", 3)) != 3:
        raise ValueError(f"{path}: vision_config: num_channels={channels!r}, but it must be 3")
    return halves[0], halves[1]


def _fields(where: Any, told: Mapping[str, Any], fields: Mapping[str, str], cls: type) -> dict:
    """Those that are not told have the module's defaults, which are Hugging Face's."""
    usual = {theirs: getattr(cls, ours) for ours, theirs in fields.items()}
    return checked(str(where), {**usual, **told}, fields, ACTIVATIONS)


def _section(path: paths.Path, told: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A half's section. What older files have in a second one beside it must be the same."""
    parts = [told.get(key) or {} for key in (name, f"{name}_dict")]
    for part in parts:
        if not isinstance(part, dict):
            raise ValueError(f"{path}: {name}: an object is needed, not {type(part).__name__}")
    section, older = parts
    for field, value in older.items():
        if section.get(field, value) != value:
            raise ValueError(
                f"{path}: {field} is {section[field]!r} in {name} and {value!r} in {name}_dict: "
                "remove the wrong one"
            )
    return {**older, **section}


def _check_tokenizer(folder: paths.Path, tokenizer: ClipTokenizer, text: TextTransformer) -> None:
    """Raises ValueError where its captions would not end where the network looks for their end."""
    end = tokenizer.vocab_size - 1 if text.end == HIGHEST_ID else text.end
    if tokenizer.vocab_size > text.vocab_size or tokenizer.end != end:
        raise ValueError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size:,} ids and ends captions with "
            f"{tokenizer.end}, but {CONFIG} says vocab_size={text.vocab_size} and "
            f"eos_token_id={text.end}: they are of different models"
        )
