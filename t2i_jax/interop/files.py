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

from t2i_jax import paths
from t2i_jax.data import torch7
from t2i_jax.interop import pytorch_legacy
from t2i_jax.interop.state_dict import StateDict

Path = str | os.PathLike
Reader = Callable[..., tuple[nn.Module, dict]]

_WRAPPERS = ("state_dict",)  # what checkpoints of many projects put around their weights


def load(path: Path) -> Any:
    """The content of a Torch7 file (``.t7``) or, of any other name, a PyTorch file.

    Raises FileNotFoundError, and ValueError where the file cannot be read.
    """
    if paths.path(path).is_dir():
        raise ValueError(f"{os.fspath(path)} is a folder: a file of weights is needed")
    if os.fspath(path).endswith(".t7"):
        return torch7.load(path)
    return pytorch_legacy.load(path)


def load_state_dict(path: Path, within: tuple[str, ...] = ()) -> StateDict:
    """The state dict in a PyTorch file: its content, or what stands in it under "state_dict" or
    under the keys of `within`, one in another.

    Raises as `load`, and ValueError where there is no flat mapping of names to arrays.
    """
    state = load(path)
    for key in (*within, *_WRAPPERS):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    what = f"{os.fspath(path)}: not a state dict"
    if not isinstance(state, Mapping) or not state:
        raise ValueError(f"{what}: it holds {type(state).__name__}, not arrays by name")
    for name, array in state.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{what}: {name!r} is no array but {type(array).__name__}")
    return dict(state)


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
        return named(path, importer, [load_state_dict(p) for p in every])

    return read


def _beside(first: paths.Path, stem: str, number: int) -> paths.Path:
    return first.with_name(f"{stem}{number}{first.suffix}")


def named(path: Path, importer: Callable, content: Any) -> tuple[nn.Module, dict]:
    """`importer` of a file's content; its errors name the file."""
    try:
        return importer(content)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error
