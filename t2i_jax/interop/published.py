"""Checks of published arrays before they become variables: names, shapes and finite values."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax.interop.state_dict import Layers, clean, to_state_dict, to_variables

Shapes = dict[str, tuple[int, ...]]


def check(
    arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Raises ValueError that names every array that is missing, unknown, of another shape than in
    `shapes`, no floating-point numbers, or not finite in float32; `what` says whose arrays they
    should be.
    """
    faults = [f"{name} is missing" for name in shapes if name not in arrays]
    faults += [f"{name} is unknown" for name in arrays if name not in shapes]
    for name in (name for name in shapes if name in arrays):
        if arrays[name].shape != tuple(shapes[name]):
            faults.append(f"{name} has shape {arrays[name].shape}, not {tuple(shapes[name])}")
        elif fault := number_fault(arrays[name]):
            faults.append(f"{name} holds {fault}")
    if faults:
        more = f"; and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise ValueError(f"these are not the weights of {what}: {'; '.join(faults[:8])}{more}")


def number_fault(array: np.ndarray) -> str:
    """Why an array cannot be weights in float32, in words; "" where it can."""
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return f"{array.dtype.name}, not floating-point numbers"
    with np.errstate(over="ignore"):
        bad = np.size(array) - np.count_nonzero(np.isfinite(np.asarray(array, np.float32)))
    return f"values that are not finite: {bad:,} of {np.size(array):,}" if bad else ""


def check_positive(variances: Mapping[str, np.ndarray], what: str) -> None:
    """Raises ValueError that names an array with values that are not above 0."""
    for name, array in variances.items():
        if not np.all(array > 0):
            raise ValueError(f"these are not the weights of {what}: {name} is not above 0")


def shapes_of(module: nn.Module, layers: Layers, image_size: int) -> Shapes:
    """What a state dict of an image network holds by name, without `num_batches_tracked`."""
    image = jnp.zeros((1, image_size, image_size, 3))
    return _shapes(lambda: module.init(jax.random.key(0), image, False), layers)


def empty(init: Callable[[], dict]) -> dict:
    """Zeros that take no memory, of the shapes of what `init` makes; it is traced only."""
    shapes = jax.eval_shape(init)
    return jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), shapes)


def _shapes(init: Callable[[], dict], layers: Layers) -> Shapes:
    return {name: array.shape for name, array in to_state_dict(empty(init), layers).items()}


def check_fits(
    state: Mapping[str, np.ndarray], layers: Layers, init: Callable[[], dict], what: str
) -> None:
    """Raises ValueError, as `check`, where a state dict is not one of the variables that `init`
    makes; `init` is traced only.
    """
    check(clean(state), _shapes(init, layers), what)


def checked_variables(
    state: Mapping[str, np.ndarray], layers: Layers, module: nn.Module, image_size: int, what: str
) -> dict[str, Any]:
    """The variables of an image network from its state dict, every array of it checked."""
    state = clean(state)
    check(state, shapes_of(module, layers, image_size), what)
    return to_variables(state, layers)
