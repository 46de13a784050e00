"""What a training does about numbers that are NaN or infinite."""

from collections.abc import Iterable
from typing import Any

import jax
import optax

from t2i_jax.training.checkpoints import Checkpoints


class NotFiniteError(FloatingPointError):
    """A loss term, a gradient or a network is NaN or infinite."""


@jax.jit
def norms(state: dict[str, Any]) -> dict[str, jax.Array]:
    """The norms of parts such as ``"params/g"``. The losses of a step don't show what its update
    made of the networks; a part with bad numbers, or with numbers whose squares float32 cannot
    hold, has no finite norm.
    """
    parts = {
        f"{item}/{name}": part
        for item, tree in state.items()
        if isinstance(tree, dict)
        for name, part in tree.items()
    }
    return {name: optax.tree.norm(part) for name, part in parts.items() if jax.tree.leaves(part)}


def not_finite(bad: Iterable[str], step: int, checkpoints: Checkpoints) -> NotFiniteError:
    """The error that names what was `bad` at a step, and where and how to go on."""
    checkpoints.wait()  # one may be on its way to the disk
    steps, workdir = checkpoints.steps(), checkpoints.directory.parent
    where, hint = f"no checkpoint was saved in {workdir}", ""
    if steps:
        where = f"the last good checkpoint is step {steps[-1]:,} in {workdir}"
    if len(steps) > 1 and step == steps[-1] + 1:
        hint = (
            f" Should step {step:,} fail again, delete {checkpoints.directory}/"
            f"{steps[-1]}: the checkpoint before it is step {steps[-2]:,}."
        )
    return NotFiniteError(
        f"step {step:,}: {', '.join(sorted(bad))} is NaN or infinite; {where}. Lower the "
        "learning rate (optim.<player>.lr) or clip gradients (optim.<player>.clip_norm) and "
        f"run the same command to go on from there.{hint}"
    )
