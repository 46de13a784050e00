"""Trains the grid of a sweep file, or searches in it; see docs/ablations.md.

Other options go to every training. An entry NAME from seed S is trained in WORKDIR/seedS/NAME; its
output is in NAME.log beside that, what became of all points in WORKDIR/sweep.json. The same command
goes on: it skips what is finished, resumes what was broken off and tries again what failed.
"""

import argparse
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence

from t2i_jax import arguments, completion, config_files, paths
from t2i_jax.arguments import whole
from t2i_jax.sweeps import points

STOPPED = "stopped. The same command goes on."
_EXAMPLES = {
    "Reed et al.'s four models from three seeds each": "--config=gan_int_cls:cub "
    "--sweep=gan_int_cls_losses \\\n      --workdir=runs/losses --seeds=3",
    "Two trainings at a time, each measured when it ends": "--config=df_gan:cub "
    "--sweep=df_gan_components \\\n"
    '      --workdir=runs/components --jobs=2 --eval="--protocol=fid2k"',
}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    usage = (
        "%(prog)s --config=NAME[:arg] --sweep=NAME[:arg] --workdir=DIR [options] "
        "[--field=value ...]"
    )
    made = arguments.parser("sweep", __doc__, _EXAMPLES, usage=usage, allow_abbrev=False)
    add = made.add_argument
    completion.add_config(made, required=True)
    add(
        "--sweep",
        required=True,
        metavar="NAME[:ARG]",
        help="a grid of the package, or a file of your own with sweep() or search(), FILE.py; "
        f"named are {', '.join(config_files.packaged(config_files.GRIDS))}",
    ).completer = completion.grids
    add("--workdir", required=True, metavar="DIR", help="the folder of all runs")
    add(
        "--seeds",
        default="1",
        metavar="N",
        help="how many, from 0, or which: 0,3,7; one alone: 7, (default: %(default)s, which is 0)",
    )
    add(
        "--only",
        action="append",
        default=[],
        metavar="NAME,...",
        help="entries or sub-sweeps of the grid (default: all)",
    )
    add(
        "--jobs",
        metavar="N",
        type=whole("jobs", 1, 1024),
        default=1,
        help="trainings at once; the cores or GPUs are shared out (default: %(default)s)",
    )
    add(
        "--eval",
        action="append",
        default=[],
        metavar="OPTIONS",
        help="options of t2i-jax evaluate for every finished run; may be given more than once",
    )
    add(
        "--search",
        metavar="N",
        type=whole("search", 1, 10**6),
        help="so many trials of the file's search(), in place of its grid",
    )
    add(
        "--index",
        metavar="N",
        type=int,
        help="train this point alone, from 0: a task of a job array (default: all)",
    )
    add("--print", action="store_true", help="print the commands of what is unfinished instead")
    add(
        "--slurm",
        nargs="?",
        const="",
        metavar="OPTIONS",
        help="write the script of a Slurm array instead, and print how to submit it with these "
        "options of sbatch",
    )
    add(
        "--train_command",
        default=shlex.join(points.TRAIN),
        metavar="COMMAND",
        help="what trains; launch/slurm.sh, say (default: python -m t2i_jax.train)",
    )
    return made


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments; exits with status 2 for what cannot be meant."""
    command = parser()
    args, rest = command.parse_known_args(argv)
    from t2i_jax.sweeps import evals  # jax, which --help does without

    modes = ("index", "print", "slurm", "search")
    given = [f"--{mode}" for mode in modes if getattr(args, mode) is not command.get_default(mode)]
    if len(given) > 1:
        command.error(f"{' and '.join(given)} cannot be combined")
    for option in rest:
        if re.match(r"--(config\.)?seed(=|$)", option):
            command.error(f"{option}: seeds are given by --seeds (one alone: --seeds=7,)")
    try:
        args.seeds = points.seeds_of(args.seeds)
        args.only = [name for text in args.only for name in text.split(",")]
        args.root = paths.path(args.workdir)
        args.asked = points.Sweep(
            config=args.config,
            sweep=args.sweep,
            root=args.root,
            options=tuple(rest),
            evals=tuple(tuple(_split("eval", text)) for text in args.eval),
            train=tuple(_split("train_command", args.train_command)),
        )
        if not args.asked.train or not shutil.which(args.asked.train[0]):
            raise ValueError(f"--train_command={args.train_command}: there is no such program")
        for options in args.asked.evals:
            evals.parse(options)
        args.slurm = None if args.slurm is None else _split("slurm", args.slurm)
    except ValueError as error:
        command.error(str(error))
    return args


def _split(option: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"--{option}={text!r}: {error}") from error


def main(argv: Sequence[str] | None = None) -> None:
    """Does what is asked; exits with 1 where a point is not finished, with 2 and one line an error
    where the user's input is wrong, with 128 and its number after a signal.
    """
    try:
        args = parse(argv)
        import jax

        from t2i_jax.sweeps import trainings

        jax.config.update("jax_platforms", "cpu")  # the devices are the trainings', not ours
        status = trainings.search(args) if args.search else trainings.grid(args)
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("T2I_JAX_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:  # while nothing runs; `train` listens itself
        print(STOPPED, file=sys.stderr)
        status = 130
    sys.exit(status)
