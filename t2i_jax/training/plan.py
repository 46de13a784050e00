"""What a training is going to do: everything is read and checked before anything is written."""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
from ml_collections import ConfigDict

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.choices import check_choice
from t2i_jax.config import Duration, suggest
from t2i_jax.data import catalog, fallbacks
from t2i_jax.data.captions import reading_notes
from t2i_jax.data.options import DataOptions
from t2i_jax.data.prepared import captions_of
from t2i_jax.data.report import NoHeldOut
from t2i_jax.training import build, exported, fields, networks, provenance, ranges, reading, runs
from t2i_jax.training.parallel import make_parallel
from t2i_jax.training.run_data import RunData, full_names
from t2i_jax.training.same_run import check_same_run

# Makes the evaluations of a training, by name: functions of the averaged networks.
MakeEvaluators = Callable[[build.System, DataOptions], Mapping[str, Callable[[Any], dict]]]


class Plan:
    """One training, of a config in a run directory.

    config: with the defaults of fields that it lacks and the full name of its data.
    workdir: the run directory; data, source: options and records; system: what is trained.
    notes: what the user should know, in words. run_data: the run's memory of its data.
    total, log_every, sample_every, checkpoint_every: in steps, of `images_per_step` images.
    best: the value that chooses the best checkpoint; "" where none does.
    options, parallel: of the step; evaluators: what is measured at every checkpoint.

    Raises what `t2i_jax.training.loop.train` raises for configs, data and runs.
    """

    def __init__(
        self,
        config: ConfigDict,
        workdir: paths.Path,
        evaluators: MakeEvaluators | None,
        given: Collection[str],
    ):
        config = fields.complete(config)
        ranges.check(configs.flatten(config))
        self.config, self.workdir = config, workdir
        old = runs.is_run(workdir)
        if old and exported.is_export(workdir):
            raise ValueError(
                f"{workdir} is an exported folder, of which no training can go on: train in "
                "another workdir"
            )
        # A run that is older than a field had the field's default.
        saved = fields.complete(runs.read_config(workdir)) if old else None
        name = saved.data.name if old else None
        config.data.name, name = full_names(config.data.name, name, config.data.data_dir)
        self.data = build.data_options(config)
        self.source = catalog.open_split(self.data.name, self.data.data_dir, self.data.split)
        runs.check_whole(workdir)
        captions = functools.partial(captions_of, self.source)
        self.system = build.build(config, workdir if old else None, captions, given)
        reading.check(self.system, self.data)
        self.notes = [*self.system.notes, *fallbacks.notes(self.source, self.data)]
        if self.system.recipe.reads != "nothing" and self.data.text == "tokens":
            # Whether captions are encoded in the step or beforehand.
            self.notes += reading_notes(self.source, self.system.tokenizer, self.data.truncate)
        if old:
            saved.data.name = name
            empty = runs.latest_step(workdir) is None
            where = f"{workdir} (no step of it was saved: remove it to begin anew)"
            check_same_run(saved.to_dict(), config.to_dict(), where if empty else workdir)
        self.run_data = RunData(self.source, workdir if old else None, config.train.accept_data)
        self.notes += self.run_data.notes
        self.images_per_step = self.data.batch * config.d_steps
        self.total = total_steps(config, len(self.source))
        self.log_every = max(self._duration("log_every"), 1)
        self.sample_every = self._duration("sample_every")
        self.checkpoint_every = max(self._duration("checkpoint_every"), 1)
        self.options = build.step_options(self.system, self.data.batch, len(self.source))
        self.parallel = make_parallel(config.parallel, config.fsdp)
        self.best = config.evals.best
        self.evaluators = self._evaluators(evaluators, given) if config.evals.names else {}
        self._check_best()

    def _evaluators(
        self, evaluators: MakeEvaluators | None, given: Collection[str]
    ) -> Mapping[str, Callable[[Any], dict]]:
        names = self.config.evals.names
        if evaluators is None:
            raise ValueError(
                f"evals.names={names}: this training was given no evaluators; start it with "
                "python -m t2i_jax.train, or pass them to `train`"
            )
        try:
            return evaluators(self.system, self.data)
        except NoHeldOut as error:
            if {"evals.names", "evals.best"} & set(given):
                raise
            # The wish of a config file, which does not know the data.
            self.best = ""
            self.notes.append(
                f"evals.names={names} is left out, the latest checkpoint counts: {error}"
            )
            return {}

    def _check_best(self) -> None:
        """The value that is to choose the best checkpoint must be one that better networks have
        more, or less, of, as ``evals.best_mode`` says.
        """
        best, mode = self.best, self.config.evals.best_mode
        check_choice("evals.best_mode", mode, ("max", "min"))
        if not best:
            return
        name, _, value = best.partition("/")
        if name not in self.evaluators:
            raise ValueError(
                f"evals.best={best!r}: evals.names has no {name!r}{suggest(name, self.evaluators)}"
            )
        lower = getattr(self.evaluators[name], "lower_is_better", ())
        wanted = "min" if value in lower else "max"
        if mode != wanted:
            raise ValueError(
                f"evals.best_mode={mode!r}: of evals.best={best!r} the "
                f"{'least' if wanted == 'min' else 'largest'} is best; set evals.best_mode={wanted}"
            )

    def _duration(self, field: str) -> int:
        return _steps(self.config, field, len(self.source))

    def summary(self, sizes: Mapping[str, int]) -> str:
        """What is trained, in a line. sizes: parameters by player."""
        parameters = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        return (
            f"{self.config.system} on {self.data.name}/{self.data.split}: {len(self.source):,} "
            f"records, batch {self.data.batch}, {self.total:,} steps; {parameters} parameters; "
            f"{jax.device_count()} {jax.devices()[0].device_kind} device(s), {self.config.parallel}"
        )

    def lost(self) -> dict[paths.Path, str]:
        """Files of a run that has been trained which are not there, and what that means."""
        lost, anew = "what it said of them is lost", "it is made anew"
        files = {self.workdir / name: lost for name in ("metrics.jsonl", provenance.FILE)}
        if self.system.tokenizer is not None:
            files[self.workdir / "tokenizer.json"] = anew
        files |= {networks.path_of(self.workdir, name): anew for name in self.system.frozen}
        return {path: what for path, what in files.items() if not paths.exists(path)}


def total_steps(config: ConfigDict, records: int) -> int:
    """How many steps a training of a split of so many records has; ValueError for none at all, and
    for batches of more than that.
    """
    data, images = config.data, config.data.batch * config.d_steps
    if data.batch > records:
        raise ValueError(
            f"data.batch={data.batch:,}: {data.name}/{data.split} has only {records:,} records; "
            f"in a batch of more an image stands beside itself: set data.batch={records} or less"
        )
    total = _steps(config, "duration", records)
    if not total:
        raise ValueError(
            f"train.duration={config.train.duration!r} is less than one step of {images:,} images"
        )
    return total


def _steps(config: ConfigDict, field: str, records: int) -> int:
    duration = Duration.parse(config.train[field])
    try:
        return duration.steps(config.data.batch * config.d_steps, records)
    except ValueError as error:
        raise ValueError(f"train.{field}: {error}") from error
