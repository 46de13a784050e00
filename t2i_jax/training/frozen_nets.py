"""Networks that a run uses and does not train: kept beside it, so that it can be sampled alone."""

import dataclasses
import pathlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.config import suggest
from t2i_jax.interop import char_cnn_rnn, weights

_PUBLISHED = {"char_cnn_rnn": char_cnn_rnn.load_torch7}


def path_of(workdir: str | pathlib.Path, name: str) -> pathlib.Path:
    """Where a run keeps a frozen network."""
    return pathlib.Path(workdir) / "frozen" / f"{name}.safetensors"


def save(workdir: pathlib.Path, name: str, variables: Any) -> None:
    """Stores variables once; a resumed run has them already."""
    path = path_of(workdir, name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        weights.save(path, variables)


def load(workdir: str | pathlib.Path, name: str) -> Any:
    """The stored variables; FileNotFoundError where the run kept none of that name."""
    variables, _ = weights.load(path_of(workdir, name))
    return variables


def resume(workdir: pathlib.Path, name: str, variables: Any) -> tuple[Any, bool]:
    """(what the run in `workdir` began with, whether `variables` differ from it); without a stored
    network, the variables.
    """
    if not path_of(workdir, name).exists():
        return variables, False
    kept = load(workdir, name)
    return kept, weights.digest(kept) != weights.digest(variables)


def load_encoder(name: str, source: str) -> tuple[dict[str, Any], Any]:
    """(fields, variables) of a text encoder from a published file.

    Raises FileNotFoundError, or ValueError for an encoder that has no published files.
    """
    if not pathlib.Path(source).is_file():
        raise FileNotFoundError(
            f"encoder.source={source!r} is neither a run directory nor a weights file"
        )
    if name not in _PUBLISHED:
        raise ValueError(
            f"encoder.name={name!r}: no published files are known{suggest(name, _PUBLISHED)}"
        )
    module, variables = _PUBLISHED[name](source)
    return fields_of(module), variables


def fields_of(module: nn.Module) -> dict[str, Any]:
    """A module's fields as a config section describes them."""
    skipped = ("parent", "name", "dtype", "axis_name")
    names = [f.name for f in dataclasses.fields(module) if f.name not in skipped]
    return {name: getattr(module, name) for name in names}


def random_encoder(module: nn.Module, length: int, seed: int) -> Any:
    """Variables of an untrained encoder, the same for the same seed."""
    tokens = jnp.zeros((1, length), jnp.int32)
    return jax.jit(module.init)(jax.random.key(seed), tokens, jnp.ones((1, length), bool))
