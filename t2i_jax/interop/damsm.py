"""Weights of the DAMSM encoders of AttnGAN (PyTorch state dicts) <-> our modules and variables.

The release keeps the text encoder in ``text_encoder{epoch}.pth`` and the image encoder, with its
Inception-v3, in ``image_encoder{epoch}.pth``; DM-GAN and DR-GAN use the same files. Read them with
`t2i_jax.interop.pytorch_legacy.load`. The ids of a published text encoder mean what its published
dictionary says, not what a rebuilt one does.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from t2i_jax.encoders.damsm import ImageEncoder, TextEncoder
from t2i_jax.encoders.inception_v3 import SMALLEST_SIDE
from t2i_jax.interop import files, inception_v3
from t2i_jax.interop.published import check, checked_variables
from t2i_jax.interop.state_dict import Layers, StateDict, clean, to_state_dict

_TABLE = "encoder.weight"
_DIRECTIONS = {"forward": "", "backward": "_reverse"}
_LSTM = {
    "input_kernel": "weight_ih",
    "hidden_kernel": "weight_hh",
    "input_bias": "bias_ih",
    "hidden_bias": "bias_hh",
}


def _lstm_names() -> dict[str, tuple[str, str]]:
    """The release's names of the LSTM's arrays and our paths, in the release's order."""
    return {
        f"rnn.{theirs}_l0{suffix}": (direction, ours)
        for direction, suffix in _DIRECTIONS.items()
        for ours, theirs in _LSTM.items()
    }


def import_text_encoder(state: Mapping[str, np.ndarray]) -> tuple[TextEncoder, dict]:
    """(module, ``{"params": ...}``); sizes are read off the arrays.

    Raises ValueError that names arrays missing, unknown, misshapen or not finite.
    """
    state, what = clean(state), "DAMSM's text encoder"
    hidden = "rnn.weight_hh_l0"
    for name in (_TABLE, hidden):
        if name not in state or state[name].ndim != 2:
            raise ValueError(f"these are not the weights of {what}: there is no matrix {name}")
    (words, word_dim), width = state[_TABLE].shape, state[hidden].shape[1]
    shapes = {_TABLE: (words, word_dim)}
    sizes = {"input_kernel": (4 * width, word_dim), "hidden_kernel": (4 * width, width)}
    for name, (_, leaf) in _lstm_names().items():
        shapes[name] = sizes.get(leaf, (4 * width,))
    check(state, shapes, what)
    flat = {("words",): np.array(state[_TABLE], np.float32)}
    for name, path in _lstm_names().items():
        flat[path] = np.array(state[name].T, np.float32, order="C")
    module = TextEncoder(vocab_size=words, word_dim=word_dim, embedding=2 * width)
    return module, {"params": unflatten_dict(flat)}


def export_text_encoder(variables: Mapping[str, Any]) -> StateDict:
    """The inverse of `import_text_encoder`; gradients in place of parameters do as well."""
    flat = flatten_dict(dict(variables["params"]))
    arrays = {name: np.asarray(flat[path]).T for name, path in _lstm_names().items()}
    return {_TABLE: np.asarray(flat[("words",)]), **arrays}


def image_layers() -> Layers:
    """The release's layer names of the image encoder and our paths."""
    return {
        **inception_v3.layers(path=("inception",)),
        "emb_features": ("regions",),
        "emb_cnn_code": ("code",),
    }


def import_image_encoder(state: Mapping[str, np.ndarray]) -> tuple[ImageEncoder, dict]:
    """(module, variables), Inception-v3 and its running statistics included.

    Raises ValueError that names arrays missing, unknown, misshapen or not finite.
    """
    state, what = clean(state), "DAMSM's image encoder"
    if "emb_cnn_code.bias" not in state:
        raise ValueError(f"these are not the weights of {what}: emb_cnn_code.bias is missing")
    module = ImageEncoder(embedding=len(state["emb_cnn_code.bias"]))
    small = module.clone(image_size=SMALLEST_SIDE)  # has the same variables
    return module, checked_variables(state, image_layers(), small, SMALLEST_SIDE, what)


def export_image_encoder(variables: Mapping[str, Any], counts: bool = True) -> StateDict:
    """The inverse of `import_image_encoder`; parameters alone, or gradients, do as well.

    counts: with the `num_batches_tracked` that current PyTorch asks for.
    """
    return to_state_dict(variables, image_layers(), counts)


PARTS = {
    "text": files.reader(import_text_encoder, "text_encoder"),
    "image": files.reader(import_image_encoder, "image_encoder"),
}
