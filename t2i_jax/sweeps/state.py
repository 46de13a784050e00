"""What is known of a sweep's points, in the file ``sweep.json`` of its folder.

    {"config": "configs/gan_int_cls.py:cub",       the command's, as it was written
     "sweep": "configs/ablations/gan_int_cls_losses.py",
     "options": ["--data.data_dir=data", ...],     of every training
     "evals": ["--protocol=... --num=...", ...],
     "search": {"metric": ..., "direction": ...}   of `t2i_jax.sweeps.search`, else null
     "points": [
       {"name": "gan_cls", "seed": 0, "groups": [],
        "config": "configs/gan_int_cls.py:cub",
        "overrides": {"loss.d.wrong": 0.5, ...},   the entry's; "{workdir}" is the seed's folder
        "workdir": "seed0/gan_cls",                from the folder of this file
        "log": "seed0/gan_cls.log",                what was printed; a whole path for a store
        "status": "done",                          waiting | running | done | failed | pruned
        "error": "",                               one line: of a failed one; why one was stopped
        "started": "2026-01-31T12:00:00+00:00",    of the first start, or ""
        "ended": "...",                            or ""
        "steps": 2500, "total": 2500,              done, and asked for
        "value": null},                            of the metric that a search looks at
       ...]}

Points stand in the order of the sweep file, those of the first seed first. The file is written at
every change, whole or not at all. How many steps are done is read from the checkpoints of the run
whenever a sweep begins, so that a lost file is made anew, but for the errors of points that failed.
A sweep that was killed leaves "running" where it stood.
"""

import contextlib
import dataclasses
import datetime
import json
import pathlib
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from t2i_jax import owner, paths
from t2i_jax.sweeps.points import Point, Sweep
from t2i_jax.training import files, provenance, runs, sealed, step_folder

FILE = "sweep.json"
_NOTED = 10.0  # seconds
WAITING, RUNNING, DONE, FAILED, PRUNED = "waiting", "running", "done", "failed", "pruned"


@dataclasses.dataclass(frozen=True)
class Standing:
    """What becomes of a point; see the file."""

    status: str = WAITING
    error: str = ""
    started: str = ""
    ended: str = ""
    steps: int = 0
    total: int = 0
    value: float | None = None


_FIELDS = [field.name for field in dataclasses.fields(Standing)]


class State:
    """The standing of points by folder, and the file that tells it. Several processes may write the
    file, each about its own points.
    """

    def __init__(self, sweep: Sweep, logs: paths.Path, search: Mapping[str, str] | None = None):
        self.sweep, self.logs, self.search = sweep, logs, search
        self.path = sweep.root / FILE
        self.points: dict[str, Point] = {}
        self._known: dict[str, Standing] = {}
        self._noted = time.monotonic()

    def __getitem__(self, point: Point) -> Standing:
        return self._known[point.folder]

    def log_of(self, point: Point) -> paths.Path:
        """The file with what its commands print."""
        return self.logs / f"{point.folder}.log"

    def begin(self, points: Iterable[Point], totals: Mapping[Point, int]) -> None:
        """Takes up points: what the file and their run directories tell of them.

        totals: steps that are asked for. Points without are another process's; what the file tells
        of them stays.
        """
        before = {row["workdir"]: row for row in read(self.sweep.root)["points"]}
        for point in points:
            self.points[point.folder] = point
            row = before.get(point.folder, {})
            told = Standing(**{k: row[k] for k in _FIELDS if k in row})
            if point in totals or not row:
                told = found(self.sweep.run(point), told, totals.get(point, 0))
            self._known[point.folder] = told
        taken = {point.folder for point in totals}
        self._write([folder for folder in self.points if folder in taken or folder not in before])

    def change(self, point: Point, **values: Any) -> Standing:
        """Sets values of a point's standing, and writes them."""
        self._known[point.folder] = dataclasses.replace(self._known[point.folder], **values)
        self._write([point.folder])
        return self._known[point.folder]

    def note(self, point: Point, steps: int) -> None:
        """Sets how far a training that runs has come, which is written now and then."""
        standing = self._known[point.folder]
        self._known[point.folder] = dataclasses.replace(standing, steps=max(steps, standing.steps))
        if time.monotonic() - self._noted > _NOTED:
            self._noted = time.monotonic()
            self._write([point.folder])

    def _write(self, folders: Iterable[str]) -> None:
        with _alone(self.path):
            rows = {row["workdir"]: row for row in read(self.sweep.root)["points"]}
            rows |= {folder: self._row(folder) for folder in folders}
            ours = [folder for folder in self.points if folder in rows]
            order = [*ours, *(folder for folder in rows if folder not in self.points)]
            whole = {
                "config": self.sweep.config,
                "sweep": self.sweep.sweep,
                "options": self.sweep.options,
                "evals": [shlex.join(options) for options in self.sweep.evals],
                "search": self.search,
                "points": [rows[folder] for folder in order],
            }
            files.write(self.path, json.dumps(whole, indent=1) + "\n")

    def _row(self, folder: str) -> dict[str, Any]:
        point = self.points[folder]
        log = self.log_of(point)
        inside = log.is_relative_to(self.sweep.root)
        return {
            "name": point.name,
            "seed": point.seed,
            "groups": point.groups,
            "config": point.config,
            "overrides": point.overrides,
            "workdir": folder,
            "log": str(log.relative_to(self.sweep.root) if inside else log),
            **dataclasses.asdict(self._known[folder]),
        }


def read(root: paths.Path) -> dict[str, Any]:
    """The content of a folder's ``sweep.json``; without points where there is none, or one that is
    no such file any more.
    """
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError, KeyError):
        told = json.loads(paths.read_bytes(root / FILE))
        if all(isinstance(row["workdir"], str) for row in told["points"]):
            return told
    return {"points": []}


def check_same(root: paths.Path, sweep: Sweep) -> None:
    """Raises ValueError where the folder holds another sweep."""
    told = read(root)
    for field, now in (("config", sweep.config), ("sweep", sweep.sweep)):
        before = told.get(field, now)
        if _named(before) != _named(now):
            raise ValueError(
                f"--workdir={root} holds the sweep of --{field}={before}, not of {now}: name "
                "another folder"
            )


def _named(spec: str) -> str:
    """A file's name with its argument: of ``configs/x.py:cub`` as of the packaged ``x:cub``."""
    return pathlib.PurePath(spec).name.replace(".py", "", 1)


def found(run: paths.Path, told: Standing, total: int) -> Standing:
    """The standing of a point that nothing is running for, by its run directory."""
    steps = done_steps(run)
    started, ended = told.started, told.ended
    if steps and not started:
        started, ended = _times(run)
    # An evaluation that failed is tried again: nothing in the run tells that it did not.
    status = DONE if steps >= total > 0 else WAITING
    if told.status == PRUNED:
        status = PRUNED
    return dataclasses.replace(
        told, status=status, error="", started=started, ended=ended, steps=steps, total=total
    )


def done_steps(run: paths.Path) -> int:
    """The step of the latest checkpoint that a training can go on from; 0 for none."""
    steps = step_folder.steps_in(runs.checkpoints_dir(run), step_folder.TRAINING)
    return steps[-1] if steps else 0


def now() -> str:
    """The time, as the file has it."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def _times(run: paths.Path) -> tuple[str, str]:
    """When a run was started and last saved, by its provenance; "" where it does not tell."""
    try:
        starts: Sequence[Mapping[str, Any]] = sealed.read(run / provenance.FILE)["starts"]
        last = datetime.datetime.fromisoformat(starts[-1]["date"])
        ended = last + datetime.timedelta(hours=starts[-1]["hours"])
        return starts[0]["date"], ended.isoformat(timespec="seconds")
    except (OSError, ValueError, LookupError, TypeError):
        return "", ""


@contextlib.contextmanager
def _alone(path: paths.Path) -> Iterator[None]:
    if paths.protocol(path):
        yield
        return
    with owner.turn(path.with_name("sweep.lock")):
        yield
