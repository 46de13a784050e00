"""Networks with frozen weights on all devices of this process."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from t2i_jax.drawing.drawer import in_batches
from t2i_jax.drawing.spread import Spread


def on_all_devices(
    function: Callable[[Any, Any], Any],
    variables: Any,
    batch_size: int,
    prepare: Callable[[Any], Any] = lambda rows: rows,
) -> Callable[[Any], Any]:
    """rows -> NumPy arrays of `function(variables, prepare(rows))`, for trees of any number of
    rows.

    Rows are split over the devices, `batch_size` at a time, rounded up to a multiple of them; the
    last batch is filled up, so that there is one program for rows of one shape. `prepare` is
    outside of the program: rows of another shape that it makes alike do not compile it anew, and
    what it computes is rounded after each operation.
    """
    spread = Spread(jax.local_devices())
    placed, size = spread.replicated(variables), spread.rounded_up(batch_size)
    apply = jax.jit(function)

    def part(rows: Any) -> Any:
        return apply(placed, prepare(spread.rows(rows)))

    def call(rows: Any) -> Any:
        if len(jax.tree.leaves(rows)[0]):
            return in_batches(part, rows, size)
        one = jax.tree.map(lambda x: np.zeros((1, *x.shape[1:]), x.dtype), rows)
        shapes = jax.eval_shape(function, placed, prepare(one))
        return jax.tree.map(lambda x: np.zeros((0, *x.shape[1:]), x.dtype), shapes)

    return call
