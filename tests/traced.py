"""What a traced function is made of."""

from collections.abc import Callable, Iterator

import jax


def operations(function: Callable, *args) -> Iterator:
    """The equations of a function of arrays or shapes, with those of the functions that it calls,
    as often as it calls them.
    """
    return _all(jax.make_jaxpr(function)(*args))


def count(name: str, function: Callable, *args) -> int:
    """How many of a function's operations have this name, such as ``"conv_general_dilated"``."""
    return sum(equation.primitive.name == name for equation in operations(function, *args))


def _all(program) -> Iterator:
    for equation in getattr(program, "jaxpr", program).eqns:
        inner = [
            part
            for value in equation.params.values()
            for part in (value if isinstance(value, tuple | list) else [value])
            if hasattr(part, "eqns") or hasattr(part, "jaxpr")
        ]
        if not inner:
            yield equation
        for part in inner:
            yield from _all(part)
