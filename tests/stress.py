"""Makes trouble for trainings and counts what is lost: outside the test suite, for it takes long.

    python tests/stress.py --all                  # every kind, with its usual numbers
    python tests/stress.py --kills=50 --seed=1    # one kind
    python tests/stress.py --kills=10 --damages=1000 --endings --markdown

Trains a tiny GAN on a few embedded birds, in a temporary folder (--folder keeps it). Ends with a
table, as in docs/reliability.md, and exit code 1 where anything was lost, silent or a traceback.
"""

import argparse
import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rich.console import Console
from stress_kinds import damages, devices, endings, full_disk, kills, owners
from stress_kinds.ground import Ground, prepare
from stress_kinds.outcome import Outcome, markdown, rows, terminal

from t2i_jax.data.prepare_progress import track


def parse() -> argparse.Namespace:
    """Which kinds of trouble, and how much of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--kills", type=int, default=0, metavar="N", help="SIGKILL at N random moments")
    add(
        "--damages",
        type=int,
        default=0,
        metavar="N",
        help="N of all files of a run and its data, damaged in four ways (all, if N is large)",
    )
    add("--endings", action="store_true", help="signals and a closed pipe")
    add("--owners", action="store_true", help="two programs in one directory")
    add("--full_disk", action="store_true", help="no room for the next checkpoint")
    add("--devices", action="store_true", help="one device, four, and one again")
    add("--removed", action="store_true", help="a run directory that is taken away")
    add("--all", action="store_true", help="all of these, with 20 kills and all damages")
    add("--seed", type=int, default=0, help="of the random moments, files and bytes")
    add("--markdown", action="store_true", help="print the table as Markdown")
    add("--folder", type=pathlib.Path, help="an empty folder, which is kept")
    args = parser.parse_args()
    kinds = ("endings", "owners", "full_disk", "devices", "removed")
    if args.all:
        args.kills, args.damages = args.kills or 20, args.damages or 10**6
        vars(args).update(dict.fromkeys(kinds, True))
    if not (args.kills or args.damages or any(getattr(args, kind) for kind in kinds)):
        parser.error("name at least one kind of trouble, or --all")
    return args


def chosen(args: argparse.Namespace, ground: Ground) -> Iterator[tuple[str, int, Callable]]:
    """(title, how many outcomes, trials) of every kind that was asked for."""
    if args.kills:
        yield "kills", args.kills + 1, lambda: kills.trials(ground, args.kills)
    if args.endings:
        yield "endings", len(endings.CODES), lambda: endings.trials(ground)
    if args.removed:
        yield "removed", len(endings.REMOVALS), lambda: endings.removals(ground)
    if args.owners:
        yield "owners", owners.NUMBER, lambda: owners.trials(ground)
    if args.devices:
        yield "devices", len(devices.DEVICES), lambda: devices.trials(ground)
    if args.full_disk:
        yield "full disk", len(full_disk.ROOM) + 1, lambda: full_disk.trials(ground)
    if args.damages:
        count = damages.outcomes(ground, args.damages)
        yield "damages", count, lambda: damages.trials(ground, args.damages)


def main() -> int:
    """Runs the kinds one after the other; returns the exit status."""
    args, console = parse(), Console(stderr=True)
    outcomes: list[Outcome] = []
    with contextlib.ExitStack() as stack:
        folder = args.folder or stack.enter_context(tempfile.TemporaryDirectory())
        prepare(pathlib.Path(folder))
        ground = Ground(pathlib.Path(folder).resolve(), args.seed)
        for title, count, trials in chosen(args, ground):
            for outcome in track(trials(), title, count, console):
                outcomes.append(outcome)
                if not outcome.good:
                    fault = f"FAULT {outcome.kind}: {outcome.what}: {outcome.how}: {outcome.detail}"
                    console.print(fault, markup=False, highlight=False, soft_wrap=True)
    table = rows(outcomes)
    print(markdown(table)) if args.markdown else Console().print(terminal(table))
    faults = sum(not outcome.good for outcome in outcomes)
    print(f"{len(outcomes)} trials, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
