"""What command lines share: their help; numbers with their ranges; errors in a line."""

import argparse
import contextlib
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

SEED = 2**32 - 1  # the largest
MANY = 10**6  # images or records in one call: more is a slip of the pen


def program(command: str) -> str:
    """How a command is called, as this program was: ``t2i-jax train``, or with ``python -m``."""
    if pathlib.PurePath(sys.argv[0]).stem == "t2i-jax":
        return f"t2i-jax {command}"
    return f"python -m t2i_jax.{command.replace('-', '_')}"


def parser(
    command: str,
    about: str,
    examples: Mapping[str, str],
    parser_class: type[argparse.ArgumentParser] = argparse.ArgumentParser,
    **options: Any,
) -> argparse.ArgumentParser:
    """The parser of a command, to which its arguments are added.

    about: the help's text. examples: options by what they do, in words; they end the help.
    options: others of argparse's.
    """
    lines = [f"  # {what}\n  %(prog)s {given}\n" for what, given in examples.items()]
    return parser_class(
        prog=program(command),
        description=about,
        epilog="examples:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **options,
    )


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


class RaisingParser(argparse.ArgumentParser):
    """One for callers in Python: what the user gave wrong is a ValueError."""

    def error(self, message: str) -> NoReturn:
        """Raises it."""
        raise ValueError(message)


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
