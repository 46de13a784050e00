"""The parts of a check, which write what they find after each measurement."""

import dataclasses
import importlib.util
import json
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from gpu import tables, training, turns
from gpu.plan import DTYPES, TIMES, Plan

PARTS = ("steps", "torch", "training", "batches")
_ALONE = {"XLA_PYTHON_CLIENT_PREALLOCATE": "true", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.95"}
_LOG = 4000  # characters of a failed process's messages that are kept


@dataclasses.dataclass(frozen=True)
class Row:
    """A measurement that is wanted. part: the one that wants it."""

    framework: str
    system: str
    dtype: str
    batch: int
    part: str = "steps"

    def is_in(self, found: dict[str, Any]) -> bool:
        """Whether a row of the results is of this measurement."""
        key = dataclasses.asdict(self) | {"part": None}
        return {name: found.get(name) for name in key} | {"part": None} == key


class Check:
    """One check. lanes: processes that are built at once. work: a folder to be removed later.

    found: plain JSON, kept in `out`: environment, rows, training; what is in it already, of an
    earlier check, is not measured again.
    """

    def __init__(self, plan: Plan, lanes: int, work: pathlib.Path, out: pathlib.Path):
        self.plan, self.lanes, self.work, self.out = plan, lanes, work, out
        self.found: dict[str, Any] = {"environment": {}, "rows": []}
        if (file := out / "results.json").exists():
            self.found = json.loads(file.read_text(encoding="utf-8"))

    def save(self) -> None:
        """Writes what has been found so far."""
        found = f"{json.dumps(self.found, indent=2)}\n"
        (self.out / "results.json").write_text(found, encoding="utf-8")
        page = tables.page(self.found, self.plan)
        (self.out / "table.md").write_text(page, encoding="utf-8")

    def steps(self, seconds: float) -> None:
        """Every system in both dtypes."""
        names = self.plan.systems
        self._measure([self._row(tables.OURS, n, d) for d in DTYPES for n in names], seconds)

    def torch(self, seconds: float) -> None:
        """Stand-ins, where there is PyTorch."""
        self.found["no_torch"] = ""
        if importlib.util.find_spec("torch") is None:
            self.found["no_torch"] = f"PyTorch was not measured: {sys.executable} has no torch."
            say(self.found["no_torch"])
        else:
            names = self.plan.torch
            self._measure([self._row(tables.TORCH, n, d) for n in names for d in TIMES], seconds)

    def training(self, seconds: float) -> None:
        """The quick start's GAN on birds."""
        say(f"training for {seconds:.0f} s at most")
        self.found["training"] = training.train(self.plan.training, seconds, self.work, self.out)

    def batches(self, seconds: float) -> None:
        """Twice the batch, four times ... of every system in turn, until it does not fit."""
        deadline = time.monotonic() + seconds
        growing = list(self.plan.systems)
        for doubling in range(1, self.plan.doublings + 1):
            for system in list(growing):
                row = self._row(tables.OURS, system, "bfloat16")
                row = dataclasses.replace(row, batch=row.batch * 2**doubling, part="batches")
                if not self._there(row) and time.monotonic() < deadline:
                    turns.in_turns([self._run(row, _ALONE)], 1, deadline, self._adding([row]))
                if not self._there(row):
                    growing.remove(system)

    def _row(self, framework: str, system: str, dtype: str) -> Row:
        return Row(framework, system, dtype, self.plan.systems[system].batch)

    def _there(self, row: Row) -> bool:
        return any(row.is_in(x) and "error" not in x for x in self.found["rows"])

    def _measure(self, rows: Sequence[Row], seconds: float) -> None:
        rows = [row for row in rows if not self._there(row)]
        runs = [self._run(row) for row in rows]
        turns.in_turns(runs, self.lanes, time.monotonic() + seconds, self._adding(rows))

    def _run(self, row: Row, env: dict[str, str] | None = None) -> turns.Run:
        """The process that measures a row."""
        log = self._log(row)
        arguments = [
            f"--config={self.plan.systems[row.system].config}",
            f"--steps={self.plan.steps}",
            f"--out={log.with_suffix('.json')}",
            f"--data.batch={row.batch}",
            f"--data.data_dir={self.work / 'no_data'}",
        ]
        dtype, *layout = row.dtype.split()
        arguments += [f"--dtype={dtype}", *(f"--{word}" for word in layout)]
        if row.framework == tables.TORCH:
            env = {"JAX_PLATFORMS": "cpu"}  # which only reads the config
            return turns.Run("gpu.torch_turn", arguments, log, self.plan.run, env)
        arguments += ["--seconds=0", *self.plan.options]
        return turns.Run("gpu.benchmark_turn", arguments, log, self.plan.run, env or {})

    def _log(self, row: Row) -> pathlib.Path:
        name = "_".join(str(x) for x in dataclasses.astuple(row))
        return self.work / f"{name.replace(' ', '_')}.log"

    def _adding(self, rows: Sequence[Row]):
        """Takes over what the run of a row has found, or why it failed."""
        by_log = {self._log(row): row for row in rows}

        def add(run: turns.Run, error: str) -> None:
            row = by_log[run.log]
            made = {"error": error}
            if error:
                self._keep(run)
            else:
                made = json.loads(run.log.with_suffix(".json").read_text(encoding="utf-8"))
                made = made[0] if isinstance(made, list) else made
            others = [x for x in self.found["rows"] if not row.is_in(x)]
            self.found["rows"] = [*others, {**made, **dataclasses.asdict(row)}]
            self.save()
            told = error or f"{made['images_per_second']:,.1f} images/s"
            say(f"{row.framework}, {row.system}, {row.dtype}, batch {row.batch}: {told}")

        return add

    def _keep(self, run: turns.Run) -> None:
        """The end of a failed run's messages goes to logs.txt."""
        text = run.log.read_text(errors="replace")[-_LOG:] if run.log.exists() else ""
        with (self.out / "logs.txt").open("a", encoding="utf-8") as logs:
            logs.write(f"== {run.module} {' '.join(run.arguments)}\n{text}\n")


def say(text: str) -> None:
    """A line of progress, apart from the tables."""
    print(text, file=sys.stderr, flush=True)
