"""Config files: the user's own by their paths, those of the package by their names from anywhere.
They are Python that may raise anything, told by file and line.
"""

import contextlib
import difflib
import importlib.util
import inspect
import os
import pathlib
import re
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

GRIDS = "ablations"  # the folder of grids
_HERE = pathlib.Path(__file__).resolve().parent


def packaged(folder: str = "") -> dict[str, pathlib.Path]:
    """Files that come with the package by name, in order: configs, or grids in `GRIDS`."""
    # setup.py puts the repository's folder into the installed package.
    root = next(place for place in (_HERE / "configs", _HERE.parent / "configs") if place.is_dir())
    return {path.stem: path for path in sorted((root / folder).glob("*.py"))}


def locate(given: str, folder: str = "") -> str:
    """The path of a config file: what has no ending is a name of `packaged`.

    Raises FileNotFoundError, with what may be meant, where there is none.
    """
    shipped, path = packaged(folder), given
    if named := re.fullmatch(r"[\w-]+", given):
        path = str(shipped.get(given, ""))
    if os.path.isfile(path):
        return path
    kind = "grid" if folder == GRIDS else "config"
    file, what = pathlib.Path(given), f"{kind} named" if named else f"{kind} file"
    own = {found.stem: str(found) for found in file.parent.glob("*.py")}
    near = [
        known[name]
        for known in (own, {name: name for name in shipped})
        for name in difflib.get_close_matches(file.stem, known, n=1)
    ]
    hint = f"did you mean {' or '.join(map(repr, dict.fromkeys(near)))}?"
    if not near:
        hint = f"named are {', '.join(shipped)}; a file of your own has a path that ends in .py"
    raise FileNotFoundError(f"no {what} {given!r}; {hint}")


def module(path: str) -> ModuleType:
    """Runs a config file; ValueError for what is no Python, or raises anything."""
    name = f"t2i_jax_config_{pathlib.Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise ValueError(f"{path}: a config file is Python, with a name that ends in .py")
    made = importlib.util.module_from_spec(spec)
    with errors_of(path):
        spec.loader.exec_module(made)
    return made


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
    text = " ".join(text.split())
    stem = pathlib.Path(path).stem
    if type(error) is ValueError and path in (str(packaged(f).get(stem)) for f in ("", GRIDS)):
        return f"{stem}: {text}"  # what stands behind its name is wrong, not the file
    where = (path if place == whole else place) + (f", line {line}" if line else "")
    return f"{where}: {text}"


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
