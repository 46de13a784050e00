"""A search: Optuna (extra "search") chooses the values of every next trial.

Trial 7 is the point ``trial_0007``. The study lies in ``optuna.journal`` of the sweep's folder; a
trial that was broken off is resumed, one that failed does not count. The median rule prunes a
training whose metric is worse than the median of the earlier ones at the same step, where the
metric is one that trainings log.

Three habits of Optuna 5.0 are kept away: a resumed study with a seeded sampler draws its first
trials again, so the seed counts the trials; infinite values become the best, so that only finite
ones are told; an existing study silently keeps its own direction, so that another is refused.
And what a kill leaves is mended: half a line in the journal, to which Optuna would append the next
and never read it again, and the journal's lock, for which it would wait half a minute.
"""

import json
import os
import pathlib
import shlex
from collections.abc import Mapping
from typing import Any

from t2i_jax import paths
from t2i_jax.evaluation import results
from t2i_jax.sweeps import evals
from t2i_jax.sweeps.points import Point, Sweep
from t2i_jax.sweeps.ranges import Choice, Range
from t2i_jax.sweeps.space import Space
from t2i_jax.sweeps.state import DONE, FAILED, PRUNED, State, done_steps
from t2i_jax.training.metrics_writer import read_rows

JOURNAL = "optuna.journal"
_HOPELESS = 3  # failures one after the other, after which no more trials begin


class Trials:
    """The trials of a study, as a queue (`running.Queue`).

    count: how many are wanted in all, those of earlier calls included. total: steps of each.
    points: of the trials of this call and of those that have ended well before, in their order.
    Raises ValueError where the folder's study is of another search, ModuleNotFoundError without
    Optuna.
    """

    def __init__(self, state: State, space: Space, count: int, seed: int, total: int):
        self._state, self._space, self._count, self._seed = state, space, count, seed
        self._total, self._failures = total, 0
        self._study = _study(state.sweep, space, seed, total)
        self._running: dict[Point, Any] = {}  # trials
        self._told: dict[Point, int] = {}  # the last step whose metric the study knows
        self._broken_off = []
        ended = {}
        for trial in self._study.trials:
            if trial.state.name == "RUNNING":
                self._broken_off.append(trial)
            elif trial.state.name != "FAIL":
                ended[self._point(trial.number, trial.params)] = trial
        self.points = list(ended)
        state.begin(self.points, dict.fromkeys(self.points, total))
        for point, trial in ended.items():  # the study knows it, were sweep.json lost
            status = PRUNED if trial.state.name == "PRUNED" else DONE
            if state[point].status != status:
                state.change(point, status=status, value=trial.value)

    def next(self) -> Point | None:
        import optuna

        while self._broken_off:
            frozen = self._broken_off.pop(0)
            if frozen.params.keys() != self._space.ranges.keys():  # a kill came before its values
                self._study.tell(frozen.number, state=optuna.trial.TrialState.FAIL)
                continue
            trial = optuna.trial.Trial(self._study, frozen._trial_id)
            return self._begin(trial, frozen.params, max(frozen.intermediate_values, default=0))
        if self._asked() >= self._count or self._failures >= _HOPELESS:
            return None
        trial = self._study.ask()
        return self._begin(trial, {k: _ask(trial, k, x) for k, x in self._space.ranges.items()}, 0)

    def _begin(self, trial, params: Mapping[str, Any], told: int) -> Point:
        point = self._point(trial.number, params)
        self._running[point], self._told[point] = trial, told
        self.points.append(point)
        self._state.begin(self.points, {point: self._total})
        return point

    def _point(self, number: int, params: Mapping[str, Any]) -> Point:
        values = dict(params)
        for field, x in self._space.ranges.items():
            if isinstance(x, Choice):
                values[field] = next(v for v in x.values if str(v) == params[field])
        entry = self._space.entry(f"trial_{number:04d}", values)
        return self._state.sweep.point(entry, self._seed)

    def _asked(self) -> int:
        """How many trials there are but for those that failed."""
        return sum(trial.state.name != "FAIL" for trial in self._study.trials)

    def left(self) -> int:
        now = sum(self._total - self._state[point].steps for point in self._running)
        return now + max(self._count - self._asked(), 0) * self._total

    def count(self) -> int:
        return self._asked() - len(self._running) - len(self._broken_off)

    def prune(self, point: Point) -> bool:
        trial, found = self._running[point], False
        for step, value in _logged(self._state.sweep.run(point), self._space.metric):
            if step > self._told[point]:
                self._told[point], found = step, True
                trial.report(value, step)
        if not found or not trial.should_prune():
            return False
        return done_steps(self._state.sweep.run(point)) < self._total  # else it is evaluated

    def ended(self, point: Point) -> None:
        from optuna.trial import TrialState

        status, trial = self._state[point].status, self._running.pop(point)
        if status == PRUNED:
            self._study.tell(trial, state=TrialState.PRUNED)
        elif status == DONE and (value := self._value(point)) is not None:
            self._state.change(point, value=value)
            self._study.tell(trial, value)
            self._failures = 0
        elif status in (DONE, FAILED):
            if status == DONE:
                self._state.change(point, status=FAILED, error=self._why(point))
            self._study.tell(trial, state=TrialState.FAIL)
            self._failures += 1

    def _why(self, point: Point) -> str:
        """Why a finished training has no value. Where the metric has no such name, no trial will
        have one: no more begin.
        """
        run, metric = self._state.sweep.run(point), self._space.metric
        names = {name for row in _rows(run) for name in row} - {"step"}
        for record in results.read(run / results.FOLDER)[0]:
            names |= {f"{record.protocol}/{name}" for name in record.values}
        if metric in names:
            return f"{metric} is no finite number at the end"
        self._failures = _HOPELESS
        known = ", ".join(sorted(names)) or "none"
        return (
            f"neither metrics.jsonl nor an evaluation has a number {metric!r}; there are: {known}"
        )

    def _value(self, point: Point) -> float | None:
        """The metric of a finished training, where it is a finite number."""
        run = self._state.sweep.run(point)
        protocol, _, name = self._space.metric.partition("/")
        for record in (evals.find(options, run) for options in self._state.sweep.evals):
            if record and record.protocol == protocol and record.values.get(name) is not None:
                return float(record.values[name])
        logged = _logged(run, self._space.metric)
        return logged[-1][1] if logged else None

    def best(self) -> str:
        """The best trial in words."""
        if not any(trial.state.name == "COMPLETE" for trial in self._study.trials):
            return "no trial has been finished"
        trial = self._study.best_trial
        point = self._point(trial.number, trial.params)
        values = " ".join(f"--{field}={point.overrides[field]}" for field in self._space.ranges)
        return f"best: {point.folder}, {self._space.metric} {trial.value:.4g}, {values}"


def _ask(trial, field: str, x: Range) -> Any:
    if isinstance(x, Choice):  # the study keeps texts as they are, but not tuples
        return trial.suggest_categorical(field, [str(value) for value in x.values])
    if x.whole:
        return trial.suggest_int(field, int(x.low), int(x.high), log=x.log)
    return trial.suggest_float(field, x.low, x.high, log=x.log)


def _logged(run: paths.Path, metric: str) -> list[tuple[int, float]]:
    """(step, value) of all lines of a run that have the metric; null stands for no finite one."""
    return [(row["step"], row[metric]) for row in _rows(run) if row.get(metric) is not None]


def _rows(run: paths.Path) -> list[dict[str, Any]]:
    path = run / "metrics.jsonl"
    return read_rows(path)[0] if paths.exists(path) else []


def _mend(journal: pathlib.Path) -> None:
    """Cuts off a line without an end, and removes the lock, of a journal that nobody has open."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if journal.exists():
        whole = journal.read_bytes()
        os.truncate(journal, whole.rfind(b"\n") + 1)


def _study(sweep: Sweep, space: Space, seed: int, total: int):
    try:
        import optuna
        from optuna.storages.journal import JournalFileBackend
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("--search needs Optuna: pip install 't2i_jax[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _mend(journal := sweep.root / JOURNAL)
    study = optuna.create_study(
        study_name="sweep",
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(journal))),
        load_if_exists=True,
        direction=space.direction,
        # Not in the first fifth of the steps, and not before five trials have ended.
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=total // 5),
    )
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    asked = {
        **space.describe(),
        "fixed": space.fixed,
        "choices": {
            field: [str(value) for value in x.values]
            for field, x in space.ranges.items()
            if isinstance(x, Choice)
        },
        "fields": sorted(space.ranges),
        "config": space.config,
        "options": sweep.options,
        "evals": [shlex.join(options) for options in sweep.evals],
        "steps": total,
        "seed": seed,
    }
    asked = json.loads(json.dumps(asked))  # as the study keeps it
    known = study.user_attrs.get("asked", asked)
    for name, value in asked.items():
        if (before := known.get(name)) != value:
            raise ValueError(
                f"{sweep.root} holds a search with {name} {before}, now {value}: trials of "
                "both cannot be compared. Name another folder"
            )
    study.set_user_attr("asked", asked)
    return study
