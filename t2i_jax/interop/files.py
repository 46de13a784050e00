"""Files of published weights, whatever program wrote them.

An interop module that reads files says so in ``PARTS``: what a file holds ("generator", "text") ->
its reader, a function of the path that gives (module, variables). What no file tells of a module is
a keyword argument of its reader, by the field's name. `t2i_jax.training.networks` finds the readers
there.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import numpy as np
import safetensors.numpy
from flax.errors import FlaxError
from safetensors import SafetensorError

from t2i_jax import paths
from t2i_jax.data import torch7
from t2i_jax.interop import pytorch_legacy
from t2i_jax.interop.state_dict import StateDict

Path = str | os.PathLike
Reader = Callable[..., tuple[nn.Module, dict]]

# What checkpoints put around the weights of a network: its name, and in general.
GENERATOR, DISCRIMINATOR = ("netG", "generator", "G"), ("netD", "discriminator", "D")
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "ema", "model_ema", "g_ema")


def load(path: Path) -> Any:
    """The content of a Torch7 file (``.t7``), of a .safetensors file (arrays by name) or, of any
    other name, a PyTorch file.

    Raises FileNotFoundError, and ValueError where the file cannot be read.
    """
    if paths.path(path).is_dir():
        raise ValueError(f"{os.fspath(path)} is a folder: a file of weights is needed")
    if os.fspath(path).endswith(".t7"):
        return torch7.load(path)
    if os.fspath(path).endswith(".safetensors"):
        try:
            with paths.on_disk(paths.path(path)) as file:
                return safetensors.numpy.load_file(file)
        except (SafetensorError, AttributeError, KeyError) as error:  # the latter: unknown types
            raise ValueError(f"{path}: not a readable safetensors file: {error}") from error
    return pytorch_legacy.load(path)


def load_state_dict(path: Path, within: tuple[str, ...] = ()) -> StateDict:
    """The state dict in a PyTorch file: its content, or what stands in it under the keys of
    `within` or usual ones, one in another, or as the only mapping.

    Raises as `load`, and ValueError where there is no flat mapping of names to arrays.
    """
    what = f"{os.fspath(path)}: not a state dict"
    state = load(path)
    try:
        while (key := _wrapper(state, within)) is not None:
            state = state[key]
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
    if not isinstance(state, Mapping) or not state:
        raise ValueError(f"{what}: it holds {type(state).__name__}, not arrays by name")
    for name, array in state.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{what}: {name!r} is no array but {type(array).__name__}")
        if not isinstance(name, str):
            raise ValueError(f"{what}: an array has the key {name!r} in place of a name")
    return dict(state)


def _wrapper(state: Any, within: tuple[str, ...]) -> str | None:
    """The key under which the weights stand in `state`; None where they are `state` itself."""
    if not isinstance(state, Mapping):
        return None
    inner = [key for key, value in state.items() if isinstance(value, Mapping) and value]
    for names in (within, _WRAPPERS):
        if found := [name for name in names if name in inner]:
            if names is _WRAPPERS and len(found) > 1:
                raise ValueError(f"it holds several: {', '.join(found)}; save one of them alone")
            return found[0]
    if any(isinstance(value, np.ndarray) for value in state.values()) or not inner:
        return None
    if len(inner) > 1:
        raise ValueError(f"it holds several: {', '.join(map(str, inner))}; save one of them alone")
    return inner[0]


def reader(importer: Callable[[StateDict], tuple[nn.Module, dict]], *within: str) -> Reader:
    """The reader of a file with one state dict. within: as in `load_state_dict`."""

    def read(path: Path) -> tuple[nn.Module, dict]:
        return named(path, importer, load_state_dict(path, within))

    return read


def scales_reader(importer: Callable[[list[StateDict]], tuple[nn.Module, dict]]) -> Reader:
    """The reader of a discriminator of which the release keeps every scale in a file of its own:
    the path is that of the first, ``netD0.pth``; ``netD1.pth``, ... beside it are read with it.
    """

    def read(path: Path) -> tuple[nn.Module, dict]:
        first = paths.path(path)
        every, stem = [first], first.stem.removesuffix("0")
        while stem != first.stem and (more := _beside(first, stem, len(every))).is_file():
            every.append(more)
        states = [load_state_dict(p, DISCRIMINATOR) for p in every]
        return named(", ".join(map(os.fspath, every)), importer, states)

    return read


def _beside(first: paths.Path, stem: str, number: int) -> paths.Path:
    return first.with_name(f"{stem}{number}{first.suffix}")


def named(path: Path, importer: Callable, content: Any) -> tuple[nn.Module, dict]:
    """`importer` of a file's content; its errors name the file."""
    try:
        return importer(content)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error
    except (TypeError, ZeroDivisionError, FlaxError) as error:  # of a module of impossible sizes
        told = " ".join(str(error).split())
        raise ValueError(f"{os.fspath(path)}: its arrays fit no such network: {told}") from error
