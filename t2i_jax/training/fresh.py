"""Fresh variables without the program that uses them.

A function such as ``module.init`` draws variables of shapes that it finds by a forward pass. As one
compiled program it costs more than the step that trains: every draw is compiled by itself, those of
equal shapes, too. Here the function is traced, what its results do not depend on is left out, and
the rest is done an operation at a time, so that equal draws are compiled once.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend import core

# Draws run once: what LLVM's usual level takes to compile them it never gains.
_OPTIONS = {"cpu": {"xla_backend_optimization_level": "1"}}

# Operations whose results NumPy rounds alike. Compiled, each of their shapes takes 25 ms and 1 MB.
_BY_NUMPY = {"add": np.add, "copy": np.array, "mul": np.multiply}


class Fresh:
    """What ``function(*args)`` would return: its `shapes`, before anything is drawn, and its
    `values`.

    function: pure, of trees of arrays, as for `jax.jit`.
    """

    def __init__(self, function: Callable, *args: Any):
        self._program, self.shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        self._inputs = jax.tree.leaves(args)

    def values(self) -> Any:
        """NumPy arrays. No two share memory, nor any with an argument: each may be donated."""
        jaxpr, known = self._program.jaxpr, {}
        known |= zip(jaxpr.constvars, self._program.consts, strict=True)
        known |= zip(jaxpr.invars, self._inputs, strict=True)

        def read(x):
            return x.val if isinstance(x, core.Literal) else known[x]

        for equation in _needed(jaxpr):
            results = _run(equation, [read(x) for x in equation.invars])
            known |= zip(equation.outvars, results, strict=True)
        found = jax.device_get([read(x) for x in jaxpr.outvars])
        taken = {*jaxpr.constvars, *jaxpr.invars}
        for i, x in enumerate(jaxpr.outvars):
            if isinstance(x, core.Literal) or x in taken:
                found[i] = np.array(found[i])
            else:
                taken.add(x)
        return jax.tree.unflatten(jax.tree.structure(self.shapes), found)


def _needed(jaxpr: core.Jaxpr) -> list[core.JaxprEqn]:
    """The equations on which results depend, in their order."""
    wanted, kept = _variables(jaxpr.outvars), []
    for equation in reversed(jaxpr.eqns):
        if not wanted.isdisjoint(equation.outvars):
            kept.append(equation)
            wanted |= _variables(equation.invars)
    return kept[::-1]


def _variables(atoms: list) -> set[core.Var]:
    return {x for x in atoms if not isinstance(x, core.Literal)}


def _run(equation: core.JaxprEqn, values: list) -> list:
    name, (first, *_) = equation.primitive.name, equation.outvars
    if name == "jit":
        return _compiled(equation.params["jaxpr"])(*values)
    if name == "broadcast_in_dim" and not np.ndim(values[0]):  # a constant needs no program
        make = functools.partial(np.full, fill_value=values[0]) if values[0] else np.zeros
        return [make(first.aval.shape, dtype=first.aval.dtype)]
    if name in _BY_NUMPY and not jax.dtypes.issubdtype(first.aval.dtype, jax.dtypes.extended):
        return [_BY_NUMPY[name](*map(np.asarray, values))]
    found = equation.primitive.bind(*values, **equation.params)
    return found if equation.primitive.multiple_results else [found]


def forget() -> None:
    """Frees the programs of draws, about 2 MB each, which a further `Fresh` would use again."""
    _compiled.cache_clear()


@functools.lru_cache(maxsize=256)
def _compiled(program: core.ClosedJaxpr) -> Callable:
    """Of equal calls of a jitted function jax makes one program."""
    options = _OPTIONS.get(jax.default_backend(), {})
    return jax.jit(core.jaxpr_as_fun(program), compiler_options=options)
