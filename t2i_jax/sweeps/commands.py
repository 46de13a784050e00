"""The commands of a sweep for other machines: printed, or as an array of Slurm jobs."""

import pathlib
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence

from t2i_jax.sweeps.points import Point, Sweep
from t2i_jax.sweeps.running import commands
from t2i_jax.sweeps.state import State

_SCRIPT = """#!/usr/bin/env bash
# Written by t2i-jax sweep: the points of {sweep}, a task each.
#SBATCH --job-name={name}
#SBATCH --requeue
#SBATCH --signal={signal}@120
#SBATCH --output={output}
set -euo pipefail
cd {cwd}
exec {command} --index="$SLURM_ARRAY_TASK_ID"
"""


def lines(state: State, points: Iterable[Point], variables: Mapping[str, str]) -> list[str]:
    """A line for the shell for every point that is not finished: what is to be run for it."""
    settings = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    found = []
    for point in points:
        total = state[point].total
        left = list(commands(state.sweep, point, total))
        shown = [" ".join([*settings, _shell(command)]) for command in left]
        found.append(" && ".join(shown) or f"# {point.folder} is finished")
    return found


def _shell(command: Sequence[str]) -> str:
    """A command with whatever Python that machine has."""
    return shlex.join("python" if part == sys.executable else part for part in command)


def slurm(
    sweep: Sweep,
    layers: Sequence[Sequence[tuple[int, Point]]],
    command: Sequence[str],
    options: Sequence[str],
    jobs: int,
    steps: bool,
    logs: pathlib.Path,
) -> tuple[pathlib.Path, str]:
    """Writes the script that runs one point, and says (its path, the shell commands that submit
    it): one array for every layer of points with their indices; each waits for the one before.

    command: of the sweep itself, to which the script adds the index. options: of sbatch.
    jobs: how many tasks may run at once; 1 for as many as there are. steps: whether trainings are
    started by srun.
    """
    logs.mkdir(parents=True, exist_ok=True)
    script = logs / "slurm_array.sh"
    text = _SCRIPT.format(
        # Without "B:" the steps that srun starts are told, and not this script.
        signal="TERM" if steps else "B:TERM",
        sweep=sweep.sweep,
        name=shlex.quote(pathlib.PurePath(sweep.sweep.partition(":")[0]).stem),
        output=shlex.quote(str(logs.absolute() / "slurm_%A_%a.log")),
        cwd=shlex.quote(str(pathlib.Path.cwd())),
        command=shlex.join(command),
    )
    script.write_text(text, encoding="utf-8")
    submits = []
    for number, layer in enumerate(layers):
        indices = ",".join(str(index) for index, _ in layer)
        most = f"%{jobs}" if jobs > 1 else ""
        parts = ["sbatch", "--parsable", f"--array={indices}{most}", *options]
        before = ' --dependency=afterany:"$job"' if number else ""
        submits.append(f"job=$({shlex.join(parts)}{before} {shlex.quote(str(script))})")
    return script, "\n".join([*submits, 'echo "$job"'])
