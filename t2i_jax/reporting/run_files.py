"""What a training and its evaluations have left in a run directory, read without changing it."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.evaluation import results
from t2i_jax.training import metrics_writer, runs, sealed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What the training of a run took so far, from its ``provenance.json``.

    starts: of each start (from step, to step, device-hours).
    machine: devices and number of processes, those of different starts after each other.
    code: the git commits.
    """

    step: int
    hours: float
    device_hours: float
    images: int
    machine: str
    code: str
    starts: tuple[tuple[int, int, float], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a point.

    config: values by dotted name; empty where there is no run directory.
    status: what the sweep says of a point that is not done, in a word: "failed".
    state: the same with all that is known: "failed at step 650 of 2,500: out of memory".
    rows: those of ``metrics.jsonl``.
    """

    point: str
    seed: str
    workdir: paths.Path
    config: Mapping[str, Any]
    status: str = ""
    state: str = ""
    records: tuple[results.Record, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    cost: Cost | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the other runs."""
        return self.point, self.seed

    @property
    def last_step(self) -> int | None:
        """How far it came, by its log or its last checkpoint."""
        steps = [row["step"] for row in self.rows] + ([self.cost.step] if self.cost else [])
        return max(steps, default=None)


def read(workdir: paths.Path, point: str, seed: str | None, notes: list[str]) -> Run:
    """The run in a directory.

    seed: None for that of the config.
    notes: files that are damaged and are left out are added.

    Raises FileNotFoundError where there is no run, ValueError for a damaged config.
    """
    runs.check_whole(workdir)
    config = configs.flatten(runs.read_config(workdir).to_dict())
    return Run(
        point=point,
        seed=str(config.get("seed", "")) if seed is None else seed,
        workdir=workdir,
        config=config,
        records=_records(workdir, notes),
        rows=_rows(workdir, notes),
        cost=_cost(workdir, notes),
    )


def _records(workdir: paths.Path, notes: list[str]) -> tuple[results.Record, ...]:
    folder = workdir / results.FOLDER
    records, damaged = results.read(folder)
    if damaged:
        notes.append(_lines(folder / results.FILE, damaged))
    sound = [record for record in records if _sound(record)]
    if len(sound) < len(records):
        notes.append(
            f"{folder / results.FILE}: {len(records) - len(sound)} records are left out, "
            "their fields are of other types than evaluations write"
        )
    return tuple(sound)


def _sound(record: results.Record) -> bool:
    mappings = (record.values, record.conditions, record.spreads)
    return (
        isinstance(record.protocol, str)
        and (record.step is None or isinstance(record.step, int))
        and all(isinstance(m, Mapping) for m in mappings)
        and all(v is None or _finite(v) for v in record.values.values())
        and all(_finite(v) for v in record.spreads.values())
    )


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _rows(workdir: paths.Path, notes: list[str]) -> tuple[Mapping[str, Any], ...]:
    path = workdir / "metrics.jsonl"
    if not paths.exists(path):
        return ()
    rows, damaged = metrics_writer.read_rows(path)
    if damaged:
        notes.append(_lines(path, damaged))
    return tuple(rows)


def _cost(workdir: paths.Path, notes: list[str]) -> Cost | None:
    path = workdir / "provenance.json"
    if not paths.exists(path):
        return None
    try:
        found = sealed.read(path)
        total, starts = found["total"], found["starts"]
        machines = [f"{s['devices']}{_processes(s['processes'])}" for s in starts]
        return Cost(
            step=int(starts[-1]["to_step"]),
            hours=float(total["hours"]),
            device_hours=float(total["device_hours"]),
            images=int(total["images"]),
            machine=", then ".join(dict.fromkeys(machines)),
            code=", then ".join(dict.fromkeys(s["code"] for s in starts if s["code"])),
            starts=tuple((s["from_step"], s["to_step"], s["device_hours"]) for s in starts),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        notes.append(f"{path} is left out, it is damaged: {error!r}")
        return None


def _processes(count: int) -> str:
    return f", {count} processes" if count > 1 else ""


def _lines(path: paths.Path, damaged: Sequence[int]) -> str:
    numbers = ", ".join(map(str, damaged[:5])) + (", ..." if len(damaged) > 5 else "")
    return f"{path}: damaged lines are left out: {numbers}"
