"""What a step costs, as XLA counts it before it chooses forms for one kind of device."""

from typing import Any

import jax

from t2i_jax.recipes.base import Recipe
from t2i_jax.training.step import StepOptions, make_step


def of_step(recipe: Recipe, options: StepOptions, state: Any, batch: Any, frozen: Any) -> float:
    """FLOPs of one step of all devices together: trees of arrays or of their shapes, with the rows
    of all.

    In the forms of convolutions that accelerators run, also where this process has CPUs, whose own
    forms take fewer. Not of the compiled program: XLA:CPU counts a depthwise kernel's gradient as
    often as there are channels.
    """
    traced = jax.jit(make_step(recipe, options)).trace(state, batch, frozen)
    return traced.lower(lowering_platforms=("tpu",)).cost_analysis()["flops"]  # as on GPUs
