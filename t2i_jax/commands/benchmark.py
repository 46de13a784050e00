"""Measures how fast a train step and its input pipeline are on this machine.

step: seconds to compile, steps and images per second, FLOPs, memory, parameters, and the images per
second of the input pipeline alone; of several configs, the ratios to the first.
passes: the compiled step's FLOPs against those of the passes that the algorithm needs.
data: the input pipeline of prepared data sets, by image size and number of worker processes.

Fields of the configs, and of data as --data.NAME=value, are options too, as in training.
"""

import argparse
import json
from collections.abc import Sequence

from rich.console import Console

from t2i_jax import completion, paths
from t2i_jax.arguments import MANY, errors_in_a_line, real, whole
from t2i_jax.arguments import parser as command_parser

_WHAT = ("step", "passes", "data")
_EXAMPLES = {
    "The step of two GANs, side by side": "--config=gan_int_cls:cub --config=df_gan:cub",
    "How many images a second this machine reads": "--what=data --data_dir=data --size=64,256",
}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command_parser("benchmark", __doc__, _EXAMPLES)
    add = made.add_argument
    add("--what", choices=_WHAT, default="step", help="see above (default: %(default)s)")
    completion.add_config(made, action="append", default=[])
    add(
        "--steps",
        metavar="N",
        type=whole("steps", 1, MANY),
        default=20,
        help="train steps that are timed (default: %(default)s)",
    )
    add(
        "--seconds",
        metavar="S",
        type=float,
        default=3.0,
        help="for which an input pipeline is timed; 0: not at all (default: %(default)s)",
    )
    add("--out", metavar="FILE", help="also write the numbers there, as JSON")
    data = made.add_argument_group("--what=data")
    add = data.add_argument
    add(
        "--data_dir",
        default="data",
        metavar="DIR",
        help="where the prepared sets are (default: %(default)s)",
    )
    add(
        "--dataset",
        type=_words,
        default=[],
        metavar="NAME,...",
        help="such as cub,flowers (default: all that are prepared)",
    )
    add(
        "--size",
        type=_numbers,
        default=[64, 128, 256],
        metavar="N,...",
        help="sides in pixels (default: 64,128,256)",
    )
    add(
        "--workers",
        type=_numbers,
        default=[0, 1, 2],
        metavar="N,...",
        help="worker processes; 0: threads instead (default: 0,1,2)",
    )
    add(
        "--repeats",
        metavar="N",
        type=whole("repeats", 1, MANY),
        default=1,
        help="measure so often and keep the best (default: %(default)s)",
    )
    add(
        "--need",
        metavar="X",
        type=real("need", 1e9),
        default=1000.0,
        help="images a second that a step takes; gives the cores (default: %(default)s)",
    )
    return made


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments; unknown options are overrides, kept in `overrides`. Exits with status 2 where
    they do not fit each other.
    """
    command = parser()
    args, args.overrides = command.parse_known_args(argv)
    if args.what != "data" and not args.config:
        command.error(f"--what={args.what} needs a --config")
    if args.what == "data" and args.config:
        command.error("--what=data takes --dataset and --data.field=value, not --config")
    if not 0 <= args.seconds <= 1e5 or (args.what == "data" and not args.seconds):
        command.error(f"--seconds={args.seconds:g}: must be above 0 and at most 100,000")
    if args.what == "data" and not (args.size and args.workers):
        command.error("--size and --workers need a number each, such as --size=64 --workers=0")
    return args


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


def main(argv: Sequence[str] | None = None) -> None:
    """Measures; exits with status 2 and one line where the user's input is wrong."""
    args = parse(argv)
    from t2i_jax.profiling import tables  # jax, which --help does without

    measure = {"step": tables.steps, "passes": tables.passes, "data": tables.data}[args.what]
    with errors_in_a_line(ValueError, OSError):
        found = measure(args, Console())
    if args.out:
        paths.write_bytes(paths.path(args.out), f"{json.dumps(found, indent=2)}\n".encode())
