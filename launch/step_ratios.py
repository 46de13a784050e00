"""How much less a train step costs than the step of another commit, or of a stand-in under PyTorch.

    python launch/step_ratios.py --case=stack_gan_v2 --against=35c48c7
    python launch/step_ratios.py --case=df_gan --against=torch --torch_python=.venv_peers/bin/python
    python launch/step_ratios.py --config=rat_gan:toy_birds --against=../other_tree --data.batch=8

Every side has a process of its own, that builds the step once; then they take turns, a step each,
in an order that turns about from round to round. So what slows the machine down slows all sides
down, and the ratio of medians stands still where the seconds do not. The others wait meanwhile.

Time is the CPU time, user and system, of a side's process with all its threads. By --threads=1 a
side is bound to one core before it starts: XLA's CPU backend makes as many threads as there are
cores that it may use and has no other option for it; the same core serves all sides, for they
never run at once. `taskset -c 3 python launch/step_ratios.py ...` takes another core.

Memory is the resident memory at its highest (VmHWM) during the timed steps: after the warm-up, what
building had left over is given back and the mark is set back (/proc/self/clear_refs). Batches are
noise, networks untrained. Nothing is compiled from a cache. Beside --case there are the config's
fields, as --name=value, for all sides.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import sys
import time
from typing import Any

from ratios import summary
from ratios.cases import CASES, TORCH, Case
from ratios.sides import HERE, ROOT, Side, Worker, opened

from t2i_jax.arguments import MANY, errors_in_a_line, whole
from t2i_jax.config import suggest


def main(argv=None) -> None:
    """Measures and prints; exits with status 2 and one line where that was not possible."""
    args = parse(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was checked out is removed
    with errors_in_a_line(ValueError, OSError), contextlib.ExitStack() as stack:
        cores = sorted(os.sched_getaffinity(0))
        if args.threads > len(cores):
            raise ValueError(f"--threads={args.threads}: this process may use {len(cores)} cores")
        others = [stack.enter_context(opened(name, args.torch_python)) for name in args.against]
        found: dict[str, dict[str, Any]] = {}
        for name, case in args.cases.items():
            found[name] = measure(name, case, others, cores[: args.threads], args)
            if args.out:  # after every case: a later one may fail
                args.out.write_text(f"{json.dumps(found, indent=2)}\n", encoding="utf-8")
        if found:
            print(f"\n{summary.overview(found)}")


def parse(argv=None) -> argparse.Namespace:
    """Arguments, with `cases` by name; exits with status 2 where they do not fit each other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--case", type=_words, default=[], metavar="NAME,...", help=f"of {', '.join(CASES)}")
    add("--config", action="append", default=[], help="NAME:arg, in the place of a case")
    add(
        "--against",
        type=_words,
        default=[],
        metavar="SIDE,...",
        help="commits, folders of other trees, 'torch'; default: none, this tree alone",
    )
    add("--rounds", type=whole("rounds", 1, MANY), default=10, help="timed steps of every side")
    add("--warm_up", type=whole("warm_up", 1, MANY), default=2, help="steps before these")
    add("--threads", type=whole("threads", 1, 4096), default=1, help="cores of every side")
    add("--torch_python", default=sys.executable, help="that runs the side 'torch'; default: this")
    add("--out", type=pathlib.Path, help="also write all numbers there, as JSON")
    args, rest = parser.parse_known_args(argv)
    overrides = {}
    for assignment in rest:
        name, sign, value = assignment.removeprefix("--").partition("=")
        if not sign or not assignment.startswith("--"):
            parser.error(f"cannot read {assignment!r}; fields are given as --data.batch=8")
        overrides[name] = value
    for name in args.case:
        if name not in CASES:
            parser.error(f"--case={name}{suggest(name, CASES)}")
    if not args.case and not args.config:
        parser.error("which step? --case=stack_gan_v2, or --config=stack_gan_v2:cub")
    if len(set(args.against)) < len(args.against):
        parser.error(f"--against={','.join(args.against)} names a side twice")
    chosen = {name: CASES[name] for name in args.case}
    chosen |= {spec: Case(spec) for spec in args.config}
    args.cases = {
        name: Case(**{**vars(case), "overrides": {**case.overrides, **overrides}})
        for name, case in chosen.items()
    }
    return args


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def measure(
    name: str, case: Case, others: list[Side], cores: list[int], args: argparse.Namespace
) -> dict[str, Any]:
    """Builds all sides, lets them take turns, prints a table; all numbers as plain JSON."""
    sides = [Side(HERE, ROOT), *others]
    found: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        workers = []
        for side in sides:
            job: dict[str, Any] = {"config": case.config, "overrides": dict(case.overrides)}
            if side.name == TORCH and side.tree is None:
                job = {field: found[HERE][field] for field in ("config", "rows", "words")}
            else:
                job["tree"] = str(side.tree)
            worker = stack.enter_context(Worker(side, cores))
            found[side.name] = worker.build(**job)
            workers.append(worker)
            took = [
                f"{what} {found[side.name][what]:.1f} CPU-s"
                for what in ("init", "compile")
                if what in found[side.name]
            ]
            say(f"{name}: {side.name} is built: {', '.join(took)}")
        for worker in workers:
            for _ in range(args.warm_up):
                worker.step()
            worker.forget()
        times = take_turns(name, workers, args.rounds)
        for worker in workers:
            found[worker.side.name] |= {**worker.end(), **times[worker.side.name]}
    ratios = summary.compared(found, others, case)
    print(f"\n{name}: {case.config}, batches of {found[HERE]['rows']}, {len(cores)} thread(s)\n")
    print(summary.table(found))
    for line in summary.costs(found[HERE], case):
        print(line)
    return {
        "config": case.config,
        "overrides": dict(case.overrides),
        "threads": len(cores),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "sides": {k: {**v, "config": None} for k, v in found.items()},
        "ratios": ratios,
    }


def take_turns(name: str, workers: list[Worker], rounds: int) -> dict[str, dict[str, list[float]]]:
    """By side: ``cpu`` and ``wall`` of its steps."""
    times = {worker.side.name: {"cpu": [], "wall": []} for worker in workers}
    begin = time.perf_counter()
    for done in range(rounds):
        for worker in workers if done % 2 == 0 else workers[::-1]:
            for kind, value in worker.step().items():
                times[worker.side.name][kind].append(value)
        spent = time.perf_counter() - begin
        last = ", ".join(f"{side} {x['cpu'][-1]:.2f}" for side, x in times.items())
        left = spent / (done + 1) * (rounds - done - 1)
        say(
            f"{name}: round {done + 1}/{rounds}, CPU-s: {last}; "
            f"{60 * (done + 1) / spent:.1f} rounds/min, {left:.0f} s left"
        )
    return times


def say(text: str) -> None:
    """A line of progress, apart from the tables."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
