"""What can follow in a shell's command line, for argcomplete (the extra "completion").

``eval "$(register-python-argcomplete t2i-jax)"`` lets bash and zsh ask; see docs/installation.md.
Completers take the word that has been begun and return all that may stand in its place; argcomplete
leaves out what begins otherwise.
"""

import argparse
import contextlib
import os
import re
from collections.abc import Callable, Collection

from t2i_jax import config_files


def add_config(parser: argparse.ArgumentParser, **options) -> None:
    """Adds --config. options: of argparse's."""
    told = (
        "a config of the package with its argument, such as gan_int_cls:cub, or a file of your "
        f"own, FILE.py; named are {', '.join(config_files.packaged())}"
    )
    parser.add_argument("--config", metavar="NAME[:ARG]", help=told, **options).completer = configs


def configs(prefix: str, **_) -> list[str]:
    """Values of --config."""
    return _specs(prefix, "get_config", config_files.packaged())


def grids(prefix: str, **_) -> list[str]:
    """Values of --sweep."""
    return _specs(prefix, "sweep", config_files.packaged(config_files.GRIDS))


def _specs(prefix: str, function: str, known: Collection[str]) -> list[str]:
    """Names and the user's own files; with their arguments where no other name can be meant."""
    from argcomplete.completers import FilesCompleter

    name, colon, _ = prefix.partition(":")
    if not colon:
        begun = [*(n for n in known if n.startswith(name)), *FilesCompleter(["py"])(prefix)]
        if len(begun) != 1 or begun[0] not in known:
            return begun
        (name,) = begun
    from t2i_jax import config

    with contextlib.suppress(ValueError, OSError):
        return [f"{name}:{argument}" for argument in config.arguments(name, function)] or [name]
    return []


def answer(
    program: argparse.ArgumentParser, find: Callable[[str], argparse.ArgumentParser | None]
) -> None:
    """Answers the shell that has started this process, and ends it.

    program: the parser of what stands before a command's options. find: the parser of a command.
    """
    import argcomplete

    line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
    begun = line.split()
    # "t2i-jax train " is complete, "t2i-jax train" is still being written.
    if len(begun) > 2 or (len(begun) == 2 and line.endswith(" ")):
        if command := find(begun[1]):
            add_fields(command, line)
            # Words before the options of the command: as of "python script.py".
            os.environ["_ARGCOMPLETE"] = "2"
            argcomplete.autocomplete(command)
    argcomplete.autocomplete(program)


def add_fields(command: argparse.ArgumentParser, line: str) -> None:
    """Makes options of the fields that the config named in a line gives, where it names one."""
    from t2i_jax import config

    with contextlib.suppress(ValueError, OSError):
        for spec in re.findall(r"--config[= ](\S+)", line)[-1:]:
            for name, value in config.flatten(config.load(spec)).items():
                now = f"{value!r}".replace("%", "%%")
                with contextlib.suppress(argparse.ArgumentError):
                    command.add_argument(f"--{name}", help=f"now {now}")
