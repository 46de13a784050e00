"""Command line: trains the grid of a sweep file, or searches in it; see docs/ablations.md.

    python launch/sweep.py --config=configs/gan_int_cls.py:cub \\
        --sweep=configs/ablations/gan_int_cls_losses.py --workdir=runs/losses --seeds=3 \\
        --eval="--protocol=toy_attributes --classifier=runs/toy_attributes"

Other options go to every training. An entry NAME from seed S is trained in WORKDIR/seedS/NAME; its
output is in NAME.log beside that, what became of all points in WORKDIR/sweep.json. The same command
goes on: it skips what is finished, resumes what was broken off and tries again what failed.
"""

import argparse
import os
import pathlib
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence

from t2i_jax import owner, paths
from t2i_jax.arguments import whole
from t2i_jax.sweeps import checks, commands, entries, evals, points, running, searching, showing
from t2i_jax.sweeps import space as spaces
from t2i_jax.sweeps.slots import slots
from t2i_jax.sweeps.state import DONE, PRUNED, WAITING, State, check_same
from t2i_jax.training import fields, sentence_cache

_STOPPED = "stopped. The same command goes on."


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments; exits with status 2 for what cannot be meant."""
    parser = argparse.ArgumentParser(
        prog="python launch/sweep.py",
        usage="%(prog)s --config=FILE.py[:arg] --sweep=FILE.py[:arg] --workdir=DIR [options] "
        "[--field=value ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--config", required=True, help="FILE.py or FILE.py:arg")
    add("--sweep", required=True, help="a file with sweep(), or search(); FILE.py or FILE.py:arg")
    add("--workdir", required=True, help="the folder of all runs")
    add("--seeds", default="1", help="how many, from 0, or which: 0,3,7; one alone: 7,")
    add("--only", action="append", default=[], help="entries or sub-sweeps, NAME,NAME")
    add(
        "--jobs",
        type=whole("jobs", 1, 1024),
        default=1,
        help="trainings at once; the cores or GPUs are shared out (default: %(default)s)",
    )
    add(
        "--eval",
        action="append",
        default=[],
        help="options of t2i_jax.evaluate for every finished run; may be given more than once",
    )
    add("--search", type=whole("search", 1, 10**6), help="so many trials of the file's search()")
    add("--index", type=int, help="train this point alone, from 0: a task of a job array")
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
        help="what trains, in place of python -m t2i_jax.train; launch/slurm.sh, say",
    )
    args, rest = parser.parse_known_args(argv)
    modes = ("index", "print", "slurm", "search")
    given = [f"--{mode}" for mode in modes if getattr(args, mode) is not parser.get_default(mode)]
    if len(given) > 1:
        parser.error(f"{' and '.join(given)} cannot be combined")
    for option in rest:
        if re.match(r"--(config\.)?seed(=|$)", option):
            parser.error(f"{option}: seeds are given by --seeds (one alone: --seeds=7,)")
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
        parser.error(str(error))
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

        jax.config.update("jax_platforms", "cpu")  # the devices are the trainings', not ours
        status = search(args) if args.search else grid(args)
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("T2I_JAX_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:  # while nothing runs; `train` listens itself
        print(_STOPPED, file=sys.stderr)
        status = 130
    sys.exit(status)


def grid(args: argparse.Namespace) -> int:
    """Trains, prints or hands to Slurm the grid of the sweep file.

    Returns the exit status. Raises ValueError and OSError for what is wrong with the input.
    """
    sweep = args.asked
    known = entries.load(args.sweep)
    everything = sweep.points(known, args.seeds)
    chosen = sweep.points(entries.choose(known, args.only) if args.only else known, args.seeds)
    mine = chosen
    if args.index is not None:
        if not 0 <= args.index < len(chosen):
            last = len(chosen) - 1
            raise ValueError(f"--index={args.index}: the points of {args.sweep} are 0 to {last}")
        mine = [chosen[args.index]]
    layers = checks.layers(everything)
    needed = {folder for point in mine for folder in point.needs}
    used = [point for point in everything if point.folder in needed and point not in mine]
    checks.check_root(args.root)
    check_same(args.root, sweep)
    totals = checks.check(sweep, [*mine, *used], {point.folder for point in everything})
    for note in checks.notes(sweep, mine):
        print(note, file=sys.stderr)
    state = State(sweep, logs_of(args.root))
    if args.index is not None:
        state.begin([*chosen, *used], totals)
        return train(args, state, running.Grid(state, mine), mine, 1)
    with owner.take(args.root, "a sweep"):
        state.begin([*chosen, *used], totals)
        if args.print:
            ordered = [point for layer in layers for point in layer if point in mine]
            given = {} if paths.protocol(args.root) else variables(args.root)
            print("\n".join(commands.lines(state, ordered, given)))
            return 0
        if args.slurm is not None:
            return _slurm(args, state, layers, mine)
        left = sum(_is_left(state, point) for point in mine)
        return train(args, state, running.Grid(state, mine), mine, left)


def search(args: argparse.Namespace) -> int:
    """Trains the trials of the file's ``search()``; status and errors as of `grid`."""
    if len(args.seeds) > 1 or args.only:
        raise ValueError("--search trains every trial from one seed: leave out --only, --seeds=N")
    if paths.protocol(args.root):
        raise ValueError(f"--workdir={args.root}: a search keeps its study in a local folder")
    sweep = args.asked
    space = spaces.load(args.sweep)
    checks.check_root(args.root)
    check_same(args.root, sweep)
    corners = [sweep.point(entry, args.seeds[0]) for entry in space.corners()]
    totals = checks.check(sweep, corners)
    config = fields.resolve(corners[0].config, sweep.assignments(corners[0])).config
    evals.check_metric(space.metric, sweep.evals, config.evals.names)
    with owner.take(args.root, "a sweep"):
        state = State(sweep, logs_of(args.root), space.describe())
        total = max(totals.values())
        trials = searching.Trials(state, space, args.search, args.seeds[0], total)
        left = args.search - trials.count()
        status = train(args, state, trials, trials.points, left)
        print(trials.best())
    return status


def train(
    args: argparse.Namespace,
    state: State,
    queue: running.Queue,
    mine: Sequence[points.Point],
    left: int,
) -> int:
    """Runs the queue and shows how it went; the exit status. mine: what the table lists. left: how
    many points have not ended, between which the machine is shared.
    """
    console = showing.console()
    count = args.search or len(mine)
    with running.Stop().listening() as stop, showing.Show(console, count) as show:
        runner = running.Runner(state, queue, show, stop, variables(args.root))
        runner.run(slots(max(1, min(args.jobs, left))))
    standings = [state[point] for point in mine]
    metric = state.search["metric"] if state.search else ""
    console.print(showing.table(zip(mine, standings, strict=True), metric))
    if stop.asked:
        print(_STOPPED, file=sys.stderr)
        return 128 + stop.asked
    if args.index is not None and standings[0].status == WAITING:
        return 143  # it was told to save, which is no failure
    return int(any(standing.status not in (DONE, PRUNED) for standing in standings))


def _slurm(args: argparse.Namespace, state: State, layers, mine: Sequence[points.Point]) -> int:
    left = [
        [(mine.index(p), p) for p in layer if p in mine and _is_left(state, p)] for layer in layers
    ]
    if not any(left):
        print("every point is finished")
        return 0
    here = pathlib.Path(sys.argv[0]).absolute()
    train, steps = args.train_command, args.train_command == shlex.join(points.TRAIN)
    if steps:
        train = f"bash {shlex.quote(str(here.with_name('slurm.sh')))}"
    command = [
        *(sys.executable, str(here)),
        *(f"--config={args.config}", f"--sweep={args.sweep}", f"--workdir={args.workdir}"),
        f"--seeds={','.join(map(str, args.seeds))},",
        *([f"--only={','.join(args.only)}"] if args.only else []),
        *(f"--eval={text}" for text in args.eval),
        f"--train_command={train}",
        *state.sweep.options,
    ]
    layers = [layer for layer in left if layer]
    script, submit = commands.slurm(
        state.sweep, layers, command, args.slurm, args.jobs, steps, logs_of(args.root)
    )
    print(f"# wrote {script}; submit it by\n{submit}")
    return 0


def _is_left(state: State, point: points.Point) -> bool:
    return bool(list(running.commands(state.sweep, point, state[point].total)))


def logs_of(root: paths.Path) -> pathlib.Path:
    """The local folder of the logs and of what trainings share: the sweep's own, if that is one."""
    if not paths.protocol(root):
        return root
    name = re.sub(r"\W+", "_", str(root))
    return pathlib.Path(tempfile.gettempdir()) / "t2i_jax_sweeps" / name


def variables(root: paths.Path) -> dict[str, str]:
    """The environment of every training: all encode the captions of the same set once."""
    name = sentence_cache.SHARED
    return {name: os.environ.get(name) or str(logs_of(root).absolute() / "cache")}
