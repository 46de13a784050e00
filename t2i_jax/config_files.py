"""Config files of the user's: Python that may raise anything, told by file and line."""

import contextlib
import inspect
import os
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def errors_of(path: str) -> Iterator[None]:
    """Makes one line of whatever the code in a file raises: file, line, message. ValueError."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise ValueError(_told(path, error)) from error


def _told(path: str, error: BaseException) -> str:
    whole = os.path.abspath(path)  # as tracebacks name it
    if isinstance(error, SyntaxError):
        place, line = error.filename or whole, error.lineno
        text = f"{type(error).__name__}: {error.msg}"
    else:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == whole]
        place, line = whole, frames[-1].lineno if frames else None
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        text = f"{kind}{error}"
    where = (path if place == whole else place) + (f", line {line}" if line else "")
    return f"{where}: {' '.join(text.split())}"


def call(path: str, module: ModuleType, name: str, arg: str) -> Any:
    """What the function `name` of a config file returns for `arg` ("": none).

    Raises ValueError where there is no such function, it takes another number of arguments, or it
    raises anything.
    """
    function = getattr(module, name, None)
    if not isinstance(function, Callable):
        raise ValueError(f"{path} defines no {name}()")
    given = (arg,) if arg else ()
    try:
        inspect.signature(function).bind(*given)
    except TypeError:
        wanted = f"no argument such as {arg!r}" if arg else f"an argument: write {path}:ARGUMENT"
        raise ValueError(f"the {name}() of {path} takes {wanted}") from None
    with errors_of(path):
        return function(*given)
