"""PyTorch state dicts <-> linen variables, given which layer is which.

A state dict here is a flat mapping of names to NumPy arrays in PyTorch's axes: convolutions
(out, in, kh, kw), linear weights (out, in), batch norm ``weight``, ``bias``, ``running_mean``,
``running_var`` and, since PyTorch 0.4.1, ``num_batches_tracked``. `layers` maps the name of every
layer with parameters ("h_net1.fc.0") to the path of our module (("stage1", "fc")).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

StateDict = dict[str, np.ndarray]
Layers = Mapping[str, tuple[str, ...]]

_COUNT = "num_batches_tracked"
_PARALLEL, _COMPILED = "module.", "_orig_mod."
_WHOLE = ("model.", "net.", "netG.", "netD.", "generator.", "discriminator.")
_NORM = {
    "weight": ("params", "scale"),
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
}
_PLAIN = {"weight": ("params", "kernel"), "bias": ("params", "bias")}
_AXES = {4: (2, 3, 1, 0), 2: (1, 0)}  # of our kernel, as positions in PyTorch's weight


def clean(state: Mapping[str, np.ndarray]) -> StateDict:
    """Without `num_batches_tracked` and what wrappers add to names: "module." of a data-parallel
    model, "_orig_mod." of a compiled one (anywhere), and the name of the network in a larger one
    where all have it.

    Raises ValueError where two names are one without that.
    """
    names = {name: _bare(name) for name in state}
    for prefix in _WHOLE:
        if all(name.startswith(prefix) for name in names.values()):
            names = {old: _bare(new.removeprefix(prefix)) for old, new in names.items()}
    seen: dict[str, str] = {}
    for old, new in names.items():
        if seen.setdefault(new, old) != old:
            raise ValueError(f"{seen[new]} and {old} are the same array: which one is meant?")
    return {new: state[old] for old, new in names.items() if new.rpartition(".")[2] != _COUNT}


def _bare(name: str) -> str:
    name = name.replace(_COMPILED, "")
    while name.startswith(_PARALLEL):
        name = name.removeprefix(_PARALLEL)
    return name


def to_variables(state: Mapping[str, np.ndarray], layers: Layers) -> dict:
    """Linen variables in float32 from a state dict, cleaned first.

    Raises ValueError where names are missing, or are of no layer.
    """
    flat, seen, unknown = {}, set(), []
    for name, array in clean(state).items():
        layer, _, field = name.rpartition(".")
        # A bias has the same place in both kinds of layer.
        places = _PLAIN if array.ndim > 1 or field == "bias" else _NORM
        if layer not in layers or field not in places:
            unknown.append(name)
            continue
        seen.add(layer)
        collection, leaf = places[field]
        if leaf == "kernel":
            if array.ndim not in _AXES:
                raise ValueError(f"{name} has shape {array.shape}: no convolution or linear layer")
            array = np.transpose(array, _AXES[array.ndim])
        flat[(collection, *layers[layer], leaf)] = np.asarray(array, np.float32)
    missing = sorted(set(layers) - seen)
    if unknown or missing:
        raise ValueError(
            "this is not the state dict of the network: "
            + (f"no layer takes {_few(sorted(unknown))}; " if unknown else "")
            + (f"nothing is there for the layers {_few(missing)}" if missing else "")
        )
    return unflatten_dict(flat)


def to_state_dict(variables: Mapping[str, Any], layers: Layers, counts: bool = False) -> StateDict:
    """The inverse of `to_variables`. Parameters alone, or gradients in their place, do as well.

    counts: add `num_batches_tracked` (0) for every batch norm, which current PyTorch asks for.

    Raises ValueError for variables of no layer.
    """
    names = {path: name for name, path in layers.items()}
    state = {}
    for (collection, *path, leaf), value in flatten_dict(dict(variables)).items():
        if tuple(path) not in names:
            raise ValueError(f"no layer of the state dict is our {'/'.join(path)}")
        places = _PLAIN if leaf == "kernel" else _NORM
        field = next(f for f, place in places.items() if place == (collection, leaf))
        array = np.asarray(value)
        if leaf == "kernel":
            array = np.transpose(array, np.argsort(_AXES[array.ndim]))
        name = names[tuple(path)]
        state[f"{name}.{field}"] = array
        if counts and field == "running_var":
            state[f"{name}.{_COUNT}"] = np.zeros([], np.int64)
    order = {name: i for i, name in enumerate(layers)}
    return dict(sorted(state.items(), key=lambda item: order[item[0].rpartition(".")[0]]))


def extent(
    state: Mapping[str, np.ndarray], name: str, axis: int = 0, axes: tuple[int, ...] = (1, 2, 4)
) -> int:
    """The length of an array along an axis; ValueError, with its name, where there is none, or the
    array has another number of axes than `axes` allow.
    """
    if name not in state:
        raise ValueError(f"{name} is missing")
    shape = state[name].shape
    if len(shape) <= axis or len(shape) not in axes:
        raise ValueError(f"{name} has shape {shape}: so many axes it should not have")
    return shape[axis]


def numbers(state: Mapping[str, np.ndarray], pattern: str) -> int:
    """How many numbers from the first on have a name with ``pattern.format(number)`` as its start.

    The first is 0 or 1, whichever is there.
    """

    def there(i: int) -> bool:
        return any(name.startswith(pattern.format(i)) for name in state)

    first = 0 if there(0) else 1
    count = 0
    while there(first + count):
        count += 1
    return count


def _few(names: list[str]) -> str:
    shown = ", ".join(repr(n) for n in names[:4])
    return shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")
