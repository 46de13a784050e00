"""Measures how fast a train step and its input pipeline are on this machine.

step: seconds to compile, steps and images per second, FLOPs, memory, parameters, and the images per
second of the input pipeline alone; of several configs, the ratios to the first.
compare: several steps in turns, and the spread of their ratios.
memory: what the step holds, by batch, dtype and what its backward pass computes anew.
plan: what the step would cost on accelerators that are not here, by how many there are.
passes: the compiled step's FLOPs against those of the passes that the algorithm needs.
data: the input pipeline of prepared data sets, by image size and number of worker processes.

Networks and data that a config names and that are not there are replaced by untrained networks and
noise of the same size.

Fields of the configs, and of data as --data.NAME=value, are options too, as in training.
"""

import argparse
import json
from collections.abc import Sequence

from rich.console import Console

from t2i_jax import completion, paths
from t2i_jax.arguments import MANY, errors_in_a_line, real, whole
from t2i_jax.arguments import parser as command_parser

_WHAT = ("step", "compare", "memory", "plan", "passes", "data")
_EXAMPLES = {
    "The step of two GANs, side by side": "--config=gan_int_cls:cub --config=df_gan:cub",
    "What many H100 would make of it": "--config=stack_gan_v2:cub --plan --devices=8,64",
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
    step = made.add_argument_group("--what=step")
    add = step.add_argument
    add(
        "--peak",
        metavar="FLOPS",
        type=real("peak", 1e18),
        help="FLOPs a second that a device can do (default: known by its name)",
    )
    add(
        "--profile",
        metavar="DIR",
        default="",
        help="trace a few more steps there, with jax's profiler",
    )
    compare = made.add_argument_group("--what=compare")
    compare.add_argument(
        "--compare",
        nargs="+",
        default=[],
        metavar="'[CONFIG] [FIELD=VALUE ...]'",
        help="two steps or more, each a config, overrides, or both; '': --config itself",
    )
    memory = made.add_argument_group("--what=memory")
    memory.add_argument(
        "--batches",
        type=_numbers,
        default=[],
        metavar="N,...",
        help="images in a batch, such as 4,16,64 (default: the config's)",
    )
    plan = made.add_argument_group("--what=plan")
    add = plan.add_argument
    add("--plan", action="store_const", const="plan", dest="what", help="short for --what=plan")
    add(
        "--devices",
        type=_numbers,
        default=[1, 8, 64, 256],
        metavar="N,...",
        help="how many (default: 1,8,64,256)",
    )
    add(
        "--device",
        type=_words,
        default=["h100"],
        metavar="NAME,...",
        help="such as a100,tpu-v5p (default: h100)",
    )
    add(
        "--split",
        action="store_true",
        help="split data.batch over the devices; else each has so many rows",
    )
    add(
        "--efficiency",
        metavar="X",
        type=real("efficiency", 1.0),
        default=0.4,
        help="part of the peak that the step's FLOPs are done at (default: %(default)s)",
    )
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
    if args.compare:
        args.what = "compare"
    if args.what == "compare":
        if len(args.compare) < 2 or len(args.config) > 1:
            command.error("--compare takes two steps or more, and one --config at most")
    elif args.what != "data" and not args.config:
        command.error(f"--what={args.what} needs a --config")
    if args.what == "data" and args.config:
        command.error("--what=data takes --dataset and --data.field=value, not --config")
    if not 0 <= args.seconds <= 1e5 or (args.what == "data" and not args.seconds):
        command.error(f"--seconds={args.seconds:g}: must be above 0 and at most 100,000")
    if args.what == "data" and not (args.size and args.workers):
        command.error("--size and --workers need a number each, such as --size=64 --workers=0")
    if args.batches and min(args.batches) < 1:
        command.error("--batches needs numbers from 1, such as --batches=4,16")
    if not args.devices or min(args.devices) < 1:
        command.error("--devices needs numbers from 1, such as --devices=1,8")
    if args.profile and (args.what != "step" or len(args.config) > 1):
        command.error("--profile takes --what=step and one --config")
    return args


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


def main(argv: Sequence[str] | None = None) -> None:
    """Measures; exits with status 2 and one line where the user's input is wrong."""
    args = parse(argv)
    from t2i_jax.profiling import compare_table, memory_table, plan_table, tables  # import jax
    from t2i_jax.training import freed_memory

    freed_memory.keep()  # as a training does
    measure = {
        "step": tables.steps,
        "compare": compare_table.compared,
        "memory": memory_table.memory,
        "plan": plan_table.planned,
        "passes": tables.passes,
        "data": tables.data,
    }[args.what]
    with errors_in_a_line(ValueError, OSError):
        found = measure(args, Console())
    if args.out:
        paths.write_bytes(paths.path(args.out), f"{json.dumps(found, indent=2)}\n".encode())
