"""The program ``t2i-jax``: its commands, each of them also a module for ``python -m``."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from t2i_jax.versions import versions


class Command(NamedTuple):
    """A module with ``main(argv)`` and ``parser()``, imported where it is called; what it does."""

    module: str
    does: str


COMMANDS = {
    "prepare": Command("commands.prepare", "make a data set of downloaded files or own photos"),
    "train": Command("commands.train", "train a system, or go on with a stopped training"),
    "sample": Command("commands.sample", "draw images of captions from a trained run"),
    "evaluate": Command("commands.evaluate", "measure a run: FID, retrieval, diversity and more"),
    "report": Command("commands.report", "compare the runs of a sweep on one page"),
    "sweep": Command("sweeps.command_line", "train a grid of variants, or search in a space"),
    "import-weights": Command("commands.import_weights", "make a run of published weights"),
    "export": Command("commands.export", "write a run as files to share"),
    "benchmark": Command("commands.benchmark", "time train steps and input pipelines"),
    "demo": Command("commands.demo", "open a page to draw from a run in the browser"),
}


def parser() -> argparse.ArgumentParser:
    """Of what stands before a command's own options."""
    width = max(map(len, COMMANDS)) + 2
    listed = "\n".join(f"  {name:{width}}{command.does}" for name, command in COMMANDS.items())
    made = argparse.ArgumentParser(
        prog="t2i-jax",
        usage="%(prog)s COMMAND [options]",
        description=f"Text-to-image GANs in JAX/Flax.\n\ncommands:\n{listed}",
        epilog="examples:\n"
        "  # What a command takes\n"
        "  %(prog)s train --help\n\n"
        "  # A data set to begin with, which needs no download\n"
        "  %(prog)s prepare --dataset=toy_birds --data_dir=data",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="store_true", help="show versions and end")
    add = made.add_argument("command", nargs="?", metavar="COMMAND", help="one of those above")
    add.completer = lambda **_: {name: command.does for name, command in COMMANDS.items()}
    return made


def main(argv: Sequence[str] | None = None) -> int | None:
    """Runs a command; returns its exit status. Exits with status 2 where there is no such one."""
    given = list(sys.argv[1:] if argv is None else argv)
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what can follow
        from t2i_jax import completion

        completion.answer(
            parser(), lambda name: module(name).parser() if name in COMMANDS else None
        )
    ours = parser()
    args = ours.parse_args(given[:1])
    if args.version:
        found = versions(("t2i_jax", "jax", "flax"))
        print("\n".join(f"{name} {version}" for name, version in found.items()))
        return 0
    if args.command is None:
        ours.print_help(sys.stderr)
        return 2
    if args.command not in COMMANDS:
        from t2i_jax.config import suggest

        ours.error(f"there is no command {args.command!r}{suggest(args.command, COMMANDS)}")
    return module(args.command).main(given[1:])


def module(name: str):
    """That of a command."""
    return importlib.import_module(f"t2i_jax.{COMMANDS[name].module}")


if __name__ == "__main__":
    sys.exit(main())
