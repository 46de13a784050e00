"""What the runs of a sweep have left behind, read without changing anything."""

import dataclasses
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.evaluation import results
from t2i_jax.training import metrics_writer, runs, sealed

SWEEP = "sweep.json"  # of the folder of all runs, by launch/sweep.py
_SEED_FOLDER = re.compile(r"seed[_-]?(\w+)")
_FINISHED = ("", "done")  # states of a point of which nothing need be said


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
    state: what the sweep says of a point that is not done, such as "failed: out of memory".
    rows: those of ``metrics.jsonl``.
    """

    point: str
    seed: str
    workdir: paths.Path
    config: Mapping[str, Any]
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """Runs to be compared: those of one point after each other.

    overrides: of each point, as the sweep set them; None where the sweep did not write them down.
    notes: on files that are damaged and were left out, for the reader.
    """

    title: str
    runs: tuple[Run, ...]
    overrides: Mapping[str, Mapping[str, Any]] | None
    notes: tuple[str, ...]

    @property
    def points(self) -> tuple[str, ...]:
        """Their names, in the order of the table."""
        return tuple(dict.fromkeys(run.point for run in self.runs))

    def of(self, point: str) -> list[Run]:
        """The runs of a point, a seed each."""
        return [run for run in self.runs if run.point == point]


def gather(folders: Sequence[str]) -> Sweep:
    """The runs in folders of sweeps, ``DIR/seed0/POINT`` or ``DIR/POINT``, or run directories.

    Raises FileNotFoundError where a folder is missing or has no runs, ValueError and OSError as
    `paths.path` and `paths.told`.
    """
    found, planned, notes = {}, {}, []
    for text in dict.fromkeys(os.fspath(folder) for folder in folders):
        folder = paths.path(text)
        inside = {(text, *run.key): run for run in _runs_in(folder, notes)}
        plan = _plan(folder, notes)
        if not inside and not plan:
            raise FileNotFoundError(_no_runs(folder, notes))
        found |= inside
        planned |= {(text, name, seed): entry for (name, seed), entry in plan.items()}
    for key, entry in planned.items():
        _, name, seed = key
        known = found.get(key)
        if known is None:
            place = paths.path(str(entry.get("workdir", "")))
            known = Run(point=name, seed=seed, workdir=place, config={})
        found[key] = dataclasses.replace(known, state=_state(entry, known))
    order = {name: i for i, name in enumerate(dict.fromkeys(name for _, name, _ in planned))}
    twice = max(Counter(run.key for run in found.values()).values()) > 1
    named = [
        dataclasses.replace(run, point=f"{_place(text, run)}/{run.point}") if twice else run
        for (text, *_), run in sorted(
            found.items(), key=lambda item: order.get(item[1].point, len(order))
        )
    ]
    by_point = {name: i for i, name in enumerate(dict.fromkeys(run.point for run in named))}
    return Sweep(
        title=", ".join(map(str, folders)),
        runs=tuple(sorted(named, key=lambda r: (by_point[r.point], len(r.seed), r.seed))),
        overrides=None if twice else _overrides(planned, set(by_point)),
        notes=tuple(notes),
    )


def _place(text: str, run: Run) -> str:
    """Where a run is from, to tell it from another of its name and seed."""
    return str(run.workdir.parent) if text == str(run.workdir) else text


def _no_runs(folder: paths.Path, notes: Sequence[str]) -> str:
    if not paths.exists(folder):
        return f"{folder}: there is no such folder"
    damaged = f" ({'; '.join(notes)})" if notes else ""
    return (
        f"{folder}: no run is there, neither DIR/POINT/config.json nor DIR/seed0/POINT/config.json"
        f"{damaged}. Give the --workdir of launch/sweep.py, or the run directories themselves"
    )


def _runs_in(folder: paths.Path, notes: list[str]) -> Iterator[Run]:
    for place in _places(folder):
        try:
            runs.check_whole(place)
            config = configs.flatten(runs.read_config(place).to_dict())
        except FileNotFoundError:
            continue
        except ValueError as error:
            notes.append(f"run left out: {error}")
            continue
        seed = _SEED_FOLDER.fullmatch(place.parent.name)
        yield Run(
            point=place.name,
            seed=seed[1] if seed else str(config.get("seed", "")),
            workdir=place,
            config=config,
            records=_records(place, notes),
            rows=_rows(place, notes),
            cost=_cost(place, notes),
        )


def _places(folder: paths.Path) -> Iterator[paths.Path]:
    """The folder itself if it is a run, else the folders in it, and in those that are none."""
    if runs.is_run(folder) or not paths.exists(folder):
        yield folder
        return
    for child in _folders(folder):
        if runs.is_run(child):
            yield child
        else:
            yield from (child, *_folders(child))


def _folders(folder: paths.Path) -> list[paths.Path]:
    with paths.told(folder):
        return sorted(path for path in folder.iterdir() if path.is_dir())


def _plan(folder: paths.Path, notes: list[str]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The points of ``sweep.json`` by name and seed; none where it is missing or damaged."""
    path = folder / SWEEP
    if not paths.exists(path):
        return {}
    try:
        entries = sealed.read(path)["points"]
        return {(str(entry["name"]), str(entry["seed"])): entry for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        notes.append(f"{path} is left out, it is damaged: {error!r}")
        return {}


def _state(entry: Mapping[str, Any], run: Run) -> str:
    status = str(entry.get("status") or "")
    if status in _FINISHED:
        return "" if run.config else "its run directory is missing"
    error = " ".join(str(entry.get("error") or "").split())
    return f"{status}: {error}" if error else status


def _overrides(planned: Mapping, points: set[str]) -> dict[str, Mapping[str, Any]] | None:
    found = {name: entry.get("overrides") for (_, name, _), entry in planned.items()}
    if set(found) != points or not all(isinstance(v, Mapping) for v in found.values()):
        return None
    return found


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
