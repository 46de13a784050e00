"""The training loop: data in; steps, logs, pictures and checkpoints out. Knows no GAN by name."""

import contextlib
import functools
import math
import pathlib
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NoReturn

import jax
import numpy as np
import optax
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from t2i_jax import pictures
from t2i_jax.config import Duration, suggest
from t2i_jax.data import catalog
from t2i_jax.data.captions import cut_note
from t2i_jax.data.options import DataOptions
from t2i_jax.data.pipeline import Pipeline, make_pipeline
from t2i_jax.data.prepared import captions_of
from t2i_jax.drawing.grids import SampleGrids
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.training import build, fields, networks, reading, runs, sentence_cache
from t2i_jax.training.checkpoints import Checkpoints, meet
from t2i_jax.training.metrics_writer import MetricsWriter
from t2i_jax.training.parallel import make_parallel
from t2i_jax.training.same_run import check_same_run
from t2i_jax.training.state import TrainState
from t2i_jax.training.step import init_state, make_step
from t2i_jax.training.step_progress import Progress


class NotFiniteError(FloatingPointError):
    """A loss term, a gradient or a network is NaN or infinite."""


# Makes the evaluations of a training, by name: functions of the averaged networks.
MakeEvaluators = Callable[[build.System, DataOptions], Mapping[str, Callable[[Any], dict]]]


def train(
    config: ConfigDict,
    workdir: str | pathlib.Path,
    evaluators: MakeEvaluators | None = None,
    given: Collection[str] = (),
) -> dict[str, float]:
    """Trains what the config describes, or goes on where `workdir` stopped.

    evaluators: makes what ``config.evals`` names (`t2i_jax.evaluation.in_training.evaluators`); it
        is run at every checkpoint, and may choose the best one.
    given: fields that the user has set, see `build.build`.

    Returns the metrics of the last interval. Raises ValueError for a config that fits neither
    itself nor the run in `workdir`, NotFiniteError naming the term and the last good checkpoint,
    SystemExit(143) after a SIGTERM whose state has been saved.
    """
    training = Training(config, pathlib.Path(workdir), evaluators, given)
    try:
        return training.run()
    finally:
        training.close()


class Training:
    """One training: built in `__init__`, which finds every mistake it can before work is done."""

    def __init__(
        self,
        config: ConfigDict,
        workdir: pathlib.Path,
        evaluators: MakeEvaluators | None = None,
        given: Collection[str] = (),
    ):
        config = fields.complete(config)
        self.config, self.workdir = config, workdir
        self.chief = jax.process_index() == 0
        self.data = build.data_options(config)
        self.source = catalog.open_split(self.data.name, self.data.data_dir, self.data.split)
        old = runs.is_run(workdir)
        captions = functools.partial(captions_of, self.source)
        self.system = build.build(config, workdir if old else None, captions, given)
        reading.check(self.system, self.data)
        if old:
            # A run that is older than a field had the field's default.
            saved = fields.complete(runs.read_config(workdir))
            check_same_run(saved.to_dict(), config.to_dict(), workdir)
        self.images_per_step = self.data.batch * config.d_steps
        self.total = self._duration("duration")
        self.log_every = max(self._duration("log_every"), 1)
        self.sample_every = self._duration("sample_every")
        self.checkpoint_every = max(self._duration("checkpoint_every"), 1)
        self.options = build.step_options(self.system, self.data.batch, len(self.source))
        self.parallel = make_parallel(config.parallel, config.fsdp)
        workdir.mkdir(parents=True, exist_ok=True)
        log = workdir / "log.txt" if self.chief else None
        self.progress = Progress(self.total, self.images_per_step, log)
        self.checkpoints = Checkpoints(
            runs.checkpoints_dir(workdir), keep=config.train.keep, best_mode="max"
        )
        self.evaluators = {}
        if config.evals.names:
            if evaluators is None:
                raise ValueError(
                    f"evals.names={config.evals.names}: this training was given no evaluators; "
                    "start it with python -m t2i_jax.train, or pass them to `train`"
                )
            self.evaluators = evaluators(self.system, self.data)
        for note in self.system.notes:
            self._say(note)
        self.pipeline = self._make_pipeline()
        self.writer: MetricsWriter | None = None
        self.last: dict[str, float] = {}
        self.terminated = False

    def _duration(self, field: str) -> int:
        duration = Duration.parse(self.config.train[field])
        return duration.steps(self.images_per_step, len(self.source))

    def _make_pipeline(self) -> Pipeline:
        system, sentences = self.system, None
        if reading.is_cached(system, self.data):
            # Every process keeps its own: nothing says that they share a disk.
            variables = system.frozen["encoder"].variables
            name = sentence_cache.fingerprint(
                system.encoder, variables, system.tokenizer, self.data
            )
            sentences = sentence_cache.sentences(
                self.workdir / "cache" / f"process{jax.process_index()}",
                name,
                self.source,
                system.encoder,
                variables,
                system.tokenizer,
                self._say,
            )
        return make_pipeline(
            self.data,
            system.tokenizer,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            sentences=sentences,
            source=self.source,
        )

    def _say(self, text: str) -> None:
        if self.chief:
            self.progress.say(text)

    def run(self) -> dict[str, float]:
        """Trains to the end; see `train`."""
        config, parallel = self.config, self.parallel
        example = self.pipeline.example_batch()
        self.system.complete(example)
        frozen = self.system.variables
        state = jax.device_get(
            jax.jit(lambda f: init_state(self.system.recipe, self.options, example, f))(frozen)
        )
        self._describe(state)
        start = self.checkpoints.latest_step() or 0
        state = self._restore(state) if start else parallel.put_state(state)
        if start >= self.total:
            self._say(f"nothing to do: {start:,} of {self.total:,} steps are done")
            return self.last
        frozen = parallel.put_state(self.system.in_step(frozen))
        grids = None
        self.draws = bool(self.sample_every) and isinstance(self.system.recipe, GanRecipe)
        if self.chief and self.draws:
            grids = SampleGrids(self.system, self.data, self.source, config.train.samples)
        if self.chief:
            self.writer = MetricsWriter(
                self.workdir,
                start=start,
                tensorboard=config.log.tensorboard,
                wandb=config.log.wandb,
                config=config.to_dict(),
            )
        batches = self._batches()
        batch = next(batches)
        began = time.perf_counter()
        step = make_step(self.system.recipe, self.options, parallel.axis_name)
        compiled = parallel.compile(step, state, batch, frozen)
        meet(f"compiled to go on from {start}")
        self._say(f"compiled the step in {time.perf_counter() - began:.1f} s")
        with self._sigterm():
            self._steps(start, state, frozen, batch, batches, compiled.call, grids)
        if self.chief:
            pictures.curves(self.workdir / "metrics.jsonl", self.workdir / "curves.png")
        return self.last

    def _describe(self, state: TrainState) -> None:
        """Writes the run's own description and says what is trained."""
        if not self.chief:
            return
        runs.write_config(self.workdir, self.config)
        if self.system.tokenizer is not None:
            runs.write_tokenizer(self.workdir, self.system.tokenizer)
        for name, network in self.system.frozen.items():
            if not networks.path_of(self.workdir, name).exists():
                networks.save(self.workdir, name, network)
        sizes = {k: sum(x.size for x in jax.tree.leaves(v)) for k, v in state.params.items()}
        self._say(
            f"{self.config.system} on {self.data.name}/{self.data.split}: "
            f"{len(self.source):,} records, batch {self.data.batch}, {self.total:,} steps; "
            + ", ".join(f"{name} {size:,}" for name, size in sizes.items())
            + f" parameters; {jax.device_count()} {jax.devices()[0].device_kind} device(s), "
            f"{self.config.parallel}"
        )
        if self.data.captions and self.data.text == "tokens":
            note = cut_note(self.source, self.system.tokenizer, self.data.truncate)
            if note:
                self._say(note)

    def _restore(self, fresh: TrainState) -> TrainState:
        """The latest checkpoint, on this run's devices; moves the pipeline to its position."""
        abstract = self.parallel.abstract(fresh)
        ema, rest, data, _ = self.checkpoints.restore_train(
            None, _train_item(abstract), abstract.ema
        )
        self.pipeline.restore(data)
        state = self.parallel.from_global(TrainState(ema=ema, **rest))
        self._say(f"resumed from step {int(rest['step']):,} in {self.workdir}")
        self.progress.start_at(int(rest["step"]))
        return state

    def _batches(self) -> Iterator[Any]:
        """Device batches: `d_steps` host batches each, along a leading axis."""
        while True:
            parts = [next(self.pipeline) for _ in range(self.config.d_steps)]
            yield self.parallel.put_batch({k: np.stack([p[k] for p in parts]) for k in parts[0]})

    def _steps(self, start, state, frozen, batch, batches, step, grids) -> None:
        window: list[dict[str, jax.Array]] = []
        self.progress.restart()
        for done in range(start + 1, self.total + 1):
            state, metrics = step(state, batch, frozen)
            window.append(metrics)
            last = done == self.total
            # The state that is saved says that `done` batches were used: position it before
            # the next one is drawn.
            position = self.pipeline.state()
            stopping = self._reached_preemption(done)
            saving = last or stopping or done % self.checkpoint_every == 0
            if not (last or stopping):
                batch = next(batches)
            if self.chief:
                self.progress.live(done)
            if done % self.log_every == 0 or saving:
                self._log(done, window)
                window = []
            with self.progress.paused():
                if self.draws and (done % self.sample_every == 0 or last):
                    self._draw(grids, done, state)
                if saving:
                    self._save(done, state, position, stopping or last)
            if stopping and not last:
                self._say(f"stopped by a signal; saved step {done:,}. The same command goes on.")
                raise SystemExit(143)

    def _log(self, done: int, window: list[dict[str, jax.Array]]) -> None:
        """Writes the means of the steps since the last call, after checking every step of them."""
        rows = [self.parallel.scalars(metrics) for metrics in window]
        for offset, row in enumerate(rows):
            bad = [name for name, value in row.items() if not math.isfinite(value)]
            if bad:
                self._stop_for(bad, done - len(rows) + 1 + offset)
        self.last = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        if self.chief:
            rates = self.progress.interval(done, self.last)
            self.writer.scalars(done, {**self.last, **rates})

    def _stop_for(self, bad: list[str], step: int) -> NoReturn:
        self.checkpoints.wait()  # one may be on its way to the disk
        steps = self.checkpoints.steps()
        where, hint = f"no checkpoint was saved in {self.workdir}", ""
        if steps:
            where = f"the last good checkpoint is step {steps[-1]:,} in {self.workdir}"
        if len(steps) > 1 and step == steps[-1] + 1:
            hint = (
                f" Should step {step:,} fail again, delete {self.checkpoints.directory}/"
                f"{steps[-1]}: the checkpoint before it is step {steps[-2]:,}."
            )
        raise NotFiniteError(
            f"step {step:,}: {', '.join(sorted(bad))} is NaN or infinite; {where}. Lower the "
            "learning rate (optim.<player>.lr) or clip gradients (optim.<player>.clip_norm) and "
            f"run the same command to go on from there.{hint}"
        )

    def _draw(self, grids: SampleGrids | None, done: int, state: TrainState) -> None:
        raw = {"params": state.params, "stats": state.stats}
        drawn = {"samples": state.ema, **({"raw": raw} if self.config.train.raw_grids else {})}
        # On all processes: each holds parts of it.
        drawn = {name: self.parallel.whole(tree) for name, tree in drawn.items()}
        if grids is None:
            return
        for name, tree in drawn.items():
            folder = self.workdir / name
            folder.mkdir(exist_ok=True)
            picture = grids.picture(tree)
            picture.save(folder / f"step_{done:08d}.png")
            self.writer.picture(done, name, np.asarray(picture))

    def _save(self, done: int, state: TrainState, position: dict, wait: bool) -> None:
        stored = self.parallel.to_global(state)
        norms = jax.device_get(_norms(_train_item(stored) | {"ema": stored.ema}))
        if bad := [name for name, norm in norms.items() if not math.isfinite(norm)]:
            self._stop_for(bad, done)
        found = self._evaluate(done, state)
        best = self.config.evals.best
        if best and best not in found:
            raise ValueError(f"evals.best={best!r}{suggest(best, found)}")
        self.checkpoints.save(
            done,
            metric=found.get(best),
            ema=stored.ema,
            train=_train_item(stored),
            data=position,
            config=self.config.to_dict(),
        )
        if wait:
            self.checkpoints.wait()

    def _evaluate(self, done: int, state: TrainState) -> dict[str, float]:
        """What the evaluators find in the averaged networks, ``"<evaluator>/<value>"``."""
        if not self.evaluators:
            return {}
        networks = self.parallel.whole(state.ema)
        found = {
            f"{name}/{key}": value
            for name, evaluate in self.evaluators.items()
            for key, value in evaluate(networks).items()
        }
        self._say(f"step {done:,}  " + "  ".join(f"{k} {v:.4g}" for k, v in found.items()))
        if self.chief:
            self.writer.scalars(done, found)
        return found

    @contextlib.contextmanager
    def _sigterm(self):
        """SIGTERM asks the loop to save and exit; several processes agree through jax."""
        if jax.process_count() > 1:
            yield  # jax.distributed has a handler of its own
            return

        def note(*_):
            self.terminated = True

        previous = signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, previous)

    def _reached_preemption(self, done: int) -> bool:
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(done)
        return self.terminated

    def close(self) -> None:
        """Waits for saving to end and closes files and threads."""
        self.pipeline.close()
        self.checkpoints.close()
        if self.writer:
            self.writer.close()
        self.progress.close()


@jax.jit
def _norms(state: dict[str, Any]) -> dict[str, jax.Array]:
    """The norms of parts such as ``"params/g"``. The losses of a step don't show what its update
    made of the networks; a part with bad numbers, or with numbers whose squares float32 cannot
    hold, has no finite norm.
    """
    parts = {
        f"{item}/{name}": part
        for item, tree in state.items()
        if isinstance(tree, dict)
        for name, part in tree.items()
    }
    return {name: optax.tree.norm(part) for name, part in parts.items() if jax.tree.leaves(part)}


def _train_item(state: TrainState) -> dict[str, Any]:
    """What a checkpoint holds beside the averaged networks."""
    return {
        "step": state.step,
        "params": state.params,
        "stats": state.stats,
        "opt": state.opt,
    }
