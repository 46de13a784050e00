"""The trainings of a sweep, as `t2i_jax.sweeps.command_line` asks for them."""

import argparse
import os
import pathlib
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence

from t2i_jax import owner, paths
from t2i_jax.sweeps import checks, commands, entries, evals, points, running, searching, showing
from t2i_jax.sweeps import space as spaces
from t2i_jax.sweeps.command_line import STOPPED
from t2i_jax.sweeps.slots import slots
from t2i_jax.sweeps.state import DONE, PRUNED, WAITING, State, check_same
from t2i_jax.training import fields, sentence_cache


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
        print(STOPPED, file=sys.stderr)
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
    train, steps = args.train_command, args.train_command == shlex.join(points.TRAIN)
    if steps:  # as launch/slurm.sh does
        train = f"srun {train} --multihost"
    command = [
        *(sys.executable, "-m", "t2i_jax.sweep"),
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
