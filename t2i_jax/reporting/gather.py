"""The runs of a sweep, found in its folder."""

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from t2i_jax import paths
from t2i_jax.reporting import run_files
from t2i_jax.reporting.run_files import Run
from t2i_jax.training import runs, sealed

SWEEP = "sweep.json"  # of the folder of all runs, by t2i-jax sweep
_SEED_FOLDER = re.compile(r"seed[_-]?(\w+)")
_DONE = "done"  # the status of a point of which nothing need be said
Plan = dict[tuple[str, str], Mapping[str, Any]]  # points by name and seed


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

    def unfinished(self, point: str) -> list[str]:
        """What there is to say of a point's runs that are not done; once, where the seeds are all
        that it differs by.
        """
        said: dict[str, list[Run]] = {}
        for run in self.of(point):
            if run.state:
                of_any = re.sub(rf"\bseed{re.escape(run.seed)}\b", "seed*", run.state)
                said.setdefault(of_any, []).append(run)
        return [
            f"seed {runs[0].seed}: {runs[0].state}"
            if len(runs) == 1
            else f"seeds {', '.join(run.seed for run in runs)}: {of_any}"
            for of_any, runs in said.items()
        ]


def gather(folders: Sequence[str]) -> Sweep:
    """The runs in folders of sweeps, ``DIR/seed0/POINT`` or ``DIR/POINT``, or run directories.

    Raises FileNotFoundError where a folder is missing or has no runs, ValueError and OSError as
    `paths.path` and `paths.told`.
    """
    found: list[tuple[str, Run]] = []  # with the folder that was given
    plans, notes = {}, []
    for text in dict.fromkeys(os.fspath(folder) for folder in folders):
        folder = paths.path(text)
        plan = _plan(folder, notes)
        inside = {run.key: run for run in _runs_in(folder, notes)}
        inside |= {key: _planned(folder, entry, inside.get(key)) for key, entry in plan.items()}
        if not inside:
            raise FileNotFoundError(_no_runs(folder, notes))
        found += [(text, inside[key]) for key in dict.fromkeys((*plan, *inside))]
        plans |= plan
    if len({run.key for _, run in found}) < len(found):
        found, plans = [(text, _placed(text, run)) for text, run in found], {}
    order = {name: i for i, name in enumerate(dict.fromkeys(run.point for _, run in found))}
    in_order = sorted(
        (run for _, run in found), key=lambda run: (order[run.point], len(run.seed), run.seed)
    )
    return Sweep(
        title=", ".join(map(str, folders)),
        runs=tuple(in_order),
        overrides=_overrides(plans, set(order)),
        notes=tuple(notes),
    )


def _placed(text: str, run: Run) -> Run:
    """A run named by its folder too, to tell it from another of its name and seed."""
    place = run.workdir.parent if text == str(run.workdir) else text
    return dataclasses.replace(run, point=f"{place}/{run.point}")


def _no_runs(folder: paths.Path, notes: Sequence[str]) -> str:
    if not paths.exists(folder):
        return f"{folder}: there is no such folder"
    damaged = f" ({'; '.join(notes)})" if notes else ""
    return (
        f"{folder}: no run is there, neither DIR/POINT/config.json nor DIR/seed0/POINT/config.json"
        f"{damaged}. Give the --workdir of the sweep, or the run directories themselves"
    )


def _runs_in(folder: paths.Path, notes: list[str]) -> Iterator[Run]:
    for place in _places(folder):
        seed = _SEED_FOLDER.fullmatch(place.parent.name)
        try:
            yield run_files.read(place, place.name, seed and seed[1], notes)
        except FileNotFoundError:
            continue
        except ValueError as error:
            notes.append(f"run left out: {error}")


def _places(folder: paths.Path) -> Iterator[paths.Path]:
    """The folder itself if it is a run, else the folders in it, and in those that are none."""
    if runs.is_run(folder) or not paths.exists(folder):
        yield folder
        return
    for child in _folders(folder):
        yield child
        if not runs.is_run(child):
            yield from _folders(child)


def _folders(folder: paths.Path) -> list[paths.Path]:
    with paths.told(folder):
        return sorted(path for path in folder.iterdir() if path.is_dir())


def _plan(folder: paths.Path, notes: list[str]) -> Plan:
    """The points of ``sweep.json``; none where it is missing or damaged."""
    path = folder / SWEEP
    if not paths.exists(path):
        return {}
    try:
        entries = sealed.read(path)["points"]
        return {(str(entry["name"]), str(entry["seed"])): entry for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        notes.append(f"{path} is left out, it is damaged: {error!r}")
        return {}


def _planned(folder: paths.Path, entry: Mapping[str, Any], run: Run | None) -> Run:
    """The run of an entry, which may not have begun, with what the sweep says of it."""
    status = str(entry.get("status") or _DONE)
    status = "" if status == _DONE else status
    error = " ".join(str(entry.get("error") or "").split())
    state = status and f"{status}{_progress(entry)}{error and f': {error}'}"
    if run is None:
        name, seed = str(entry["name"]), str(entry["seed"])
        place = folder / str(entry.get("workdir", name))
        run = Run(point=name, seed=seed, workdir=place, config={})
        status, state = status or "no run", state or "its run directory is missing"
    return dataclasses.replace(run, status=status, state=state)


def _progress(entry: Mapping[str, Any]) -> str:
    steps, total = entry.get("steps"), entry.get("total")
    known = isinstance(steps, int) and isinstance(total, int) and steps > 0
    return f" at step {steps:,} of {total:,}" if known else ""


def _overrides(plans: Plan, points: set[str]) -> dict[str, dict[str, Any]] | None:
    """What the sweep set in each point; None where it does not tell of all of them."""
    found = {}
    for (name, _), entry in plans.items():
        if isinstance(entry.get("overrides"), Mapping):
            config = {"config": entry["config"]} if entry.get("config") else {}
            found[name] = {**config, **entry["overrides"]}
    return found if found.keys() == points else None
