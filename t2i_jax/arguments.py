"""What command lines share: numbers with their ranges, types for argparse; errors in a line."""

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator

SEED = 2**32 - 1  # the largest
MANY = 10**6  # images or records in one call: more is a slip of the pen


def whole(name: str, least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number between the two, or either; refuses others by the option's name."""
    return _within(int, name, least, most, f"must be a whole number from {least:,} to {most:,}")


def real(name: str, most: float, least: float = 0.0) -> Callable[[str], float]:
    """Reads a number above `least`, and at most `most`."""
    words = f"must be above {least:g} and at most {most:,g}"
    read = _within(float, name, least, most, words)

    def above(text: str) -> float:
        if (value := read(text)) == least:
            raise argparse.ArgumentTypeError(f"{name}={text}: {words}")
        return value

    above.__name__ = "float"
    return above


def _within(kind: type, name: str, least: float, most: float, words: str) -> Callable:
    def read(text: str):
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{name}={text}: {words}")
        return value

    read.__name__ = kind.__name__  # which argparse names for what is no number
    return read


@contextlib.contextmanager
def errors_in_a_line(*kinds: type[Exception]) -> Iterator[None]:
    """Inside, an error of these kinds is printed in a line and ends the program with status 2; with
    $T2I_JAX_TRACEBACK set it is raised.
    """
    try:
        yield
    except kinds as error:
        if os.environ.get("T2I_JAX_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


@contextlib.contextmanager
def warnings_in_a_line(kind: type[Warning]) -> Iterator[None]:
    """Inside, every warning of this kind is printed, in a line."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", kind)
        warnings.showwarning = lambda message, *_, **__: print(
            f"warning: {message}", file=sys.stderr
        )
        yield
