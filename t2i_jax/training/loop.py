"""The training loop: data in; steps, logs, pictures and checkpoints out. Knows no GAN by name."""

import contextlib
import errno
import math
import os
import pathlib
import signal
import tempfile
from collections.abc import Collection, Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from t2i_jax import owner, paths, pictures
from t2i_jax.config import suggest
from t2i_jax.data.pipeline import Pipeline, make_pipeline
from t2i_jax.data.prepared import captions_of
from t2i_jax.drawing.grids import SampleGrids
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.training import ahead, networks, provenance, reading, runs, sentence_cache
from t2i_jax.training.checkpoints import Checkpoints, check_place, meet
from t2i_jax.training.compilation_cache import kept
from t2i_jax.training.divergence import Watch
from t2i_jax.training.finite import norms, not_finite
from t2i_jax.training.fresh import forget
from t2i_jax.training.metrics_writer import MetricsWriter, read_rows
from t2i_jax.training.plan import MakeEvaluators, Plan
from t2i_jax.training.state import TrainState
from t2i_jax.training.step import fresh_state
from t2i_jax.training.step_progress import Progress
from t2i_jax.training.stopping import Stopping
from t2i_jax.waiting import Waiting

# Steps that may be queued behind the one that runs: enough to keep a device busy, and all that a
# stop has to wait for.
_AHEAD = 2


def train(
    config: ConfigDict,
    workdir: str | os.PathLike,
    evaluators: MakeEvaluators | None = None,
    stopping: Stopping | None = None,
    given: Collection[str] = (),
) -> dict[str, float]:
    """Trains what the config describes, or goes on where `workdir` stopped.

    evaluators: makes what ``config.evals`` names (`t2i_jax.evaluation.in_training.evaluators`); it
        is run at every checkpoint, and may choose the best one.
    stopping: where a stop may be asked for. Signals reach it inside ``stopping.listening()``, as on
        the command line; without it, as in a notebook or a thread, no signal is touched.
    given: fields that the user has set, see `build.build`.

    Returns the metrics of the last interval. Raises ValueError for a config that fits neither
    itself nor the run in `workdir`, `t2i_jax.owner.OwnedError` where another training writes
    there, `finite.NotFiniteError` naming the term and the last good checkpoint, SystemExit with
    ``stopping.status`` after a stop that was asked for, when the state has been saved.
    """
    check_place(workdir)
    with Waiting("reading the data and the networks that the config names"):
        plan = Plan(config, paths.path(workdir), evaluators, given)
    training = Training(plan, stopping or Stopping())
    try:
        with contextlib.ExitStack() as stack:
            training.open(stack)
            if plan.config.train.compilation_cache:
                stack.enter_context(kept(plan.workdir))
            return training.run()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # Of most files that are being written Python does not say which one it was.
        raise OSError(
            f"no room for what is written to {workdir} ({error}): free some, then run the same "
            "command again"
        ) from error


class Training:
    """One training of a plan: `open`, then `run`."""

    def __init__(self, plan: Plan, stopping: Stopping):
        self.plan, self.stopping = plan, stopping
        self.chief = jax.process_index() == 0
        self.last: dict[str, float] = {}
        self.watch = Watch()

    def open(self, stack: contextlib.ExitStack) -> None:
        """Takes the run directory and opens what writes there; `stack` closes it."""
        log = None
        if self.chief:
            self.owner = stack.enter_context(owner.take(self.plan.workdir, "a training"))
            log = self.plan.workdir / "log.txt"
        self.progress = Progress(self.plan.total, self.plan.images_per_step, log)
        stack.callback(self.progress.close)
        self.checkpoints = stack.enter_context(
            Checkpoints(
                runs.checkpoints_dir(self.plan.workdir),
                keep=self.plan.config.train.keep,
                best_mode=self.plan.config.evals.best_mode,
            )
        )
        for note in self.plan.notes:
            self._say(note)
        if self.chief and self.owner.unlocked:
            self._say(f"{self.owner.unlocked}: see to it that nothing else trains there")
        self.stack = stack

    def _make_pipeline(self) -> Pipeline:
        system, sentences = self.plan.system, None
        if reading.is_cached(system, self.plan.data):
            # Every process keeps its own: nothing says that they share a disk.
            shared = os.environ.get(sentence_cache.SHARED, "")
            own = f"process{jax.process_index()}"
            with self._waiting("reading captions"):
                captions = list(captions_of(self.plan.source))
            sentences = sentence_cache.sentences(
                pathlib.Path(shared) if shared else self._local_folder("cache") / own,
                captions,
                system.encoder,
                system.frozen["encoder"].variables,
                system.tokenizer,
                self._say,
                bool(shared),
            )
        return self._pipeline_of(sentences)

    def _pipeline_of(self, sentences: np.ndarray | None) -> Pipeline:
        return make_pipeline(
            self.plan.data,
            self.plan.system.tokenizer,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            sentences=sentences,
            source=self.plan.source,
        )

    def _local_folder(self, name: str) -> pathlib.Path:
        """One of the run, for what is mapped into memory; of a run on a store, one that goes with
        this training.
        """
        if not paths.protocol(self.plan.workdir):
            return self.plan.workdir / name
        return pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="t2i_jax")))

    def _say(self, text: str) -> None:
        if self.chief:
            self.progress.say(text)

    def _waiting(self, what: str) -> contextlib.AbstractContextManager:
        """Shows for how long `what` has been going on."""
        return Waiting(what, self.progress.say) if self.chief else contextlib.nullcontext()

    def run(self) -> dict[str, float]:
        """Trains to the end; see `train`."""
        config, parallel = self.plan.config, self.plan.parallel
        start, system = self.checkpoints.latest_step() or 0, self.plan.system
        with self._waiting("tracing the networks and the step"):
            example = self._example()
            fresh = fresh_state(system.recipe, self.plan.options, example, system.variables)
            frozen, step = system.in_step(system.variables), None
            if start < self.plan.total:
                step = ahead.begin(self.plan, fresh.shapes, example, frozen)
        self.pipeline = self._make_pipeline()
        self.stack.callback(self.pipeline.close)
        for path, what in self.plan.lost().items() if start else ():
            self._say(f"{path} is missing, though {start:,} steps are done: {what}")
        self._describe(fresh.shapes)
        with self._waiting(f"reading step {start:,}" if start else "drawing the networks"):
            state = self._restore(fresh.shapes) if start else parallel.put_state(fresh.values())
        del fresh  # neither it nor its programs are held during the training
        forget()
        if step is None:
            self._say(f"nothing to do: {start:,} of {self.plan.total:,} steps are done")
            self._curves()  # it may have ended after the last checkpoint, before them
            return self.last
        frozen = parallel.put_state(frozen)
        grids = None
        self.draws = bool(self.plan.sample_every) and isinstance(system.recipe, GanRecipe)
        if self.chief and self.draws:
            with self._waiting("choosing captions for samples"):
                grids = SampleGrids(system, self.plan.data, self.plan.source, config.train.samples)
        if self.chief:
            self.writer = MetricsWriter(
                self.plan.workdir,
                start=start,
                tensorboard=config.log.tensorboard,
                wandb=config.log.wandb,
                config=config.to_dict(),
            )
            self.stack.callback(self.writer.close)
            if damaged := self.writer.damaged:
                lines = ", ".join(map(str, damaged))
                self._say(f"{self.writer.path} had damaged lines, which are left out: {lines}")
            if (last := self.writer.last) < start:
                self._say(f"{self.writer.path} has lost what follows step {last:,} of {start:,}")
            self.provenance = provenance.Provenance(
                self.plan.workdir, start, self.plan.images_per_step
            )
        batches = self._batches()
        with self._waiting("reading the first batch"):
            batch = next(batches)
        with self._waiting(f"compiling the step of {config.system}"):
            compiled = step.compiled()
        meet(f"compiled to go on from {start}")
        self._say(f"compiled the step of {config.system} {step.told()}")
        with self.stopping.after_the_step():
            self._steps(start, state, frozen, batch, batches, compiled.call, grids)
        self._curves()
        if self.chief:
            self._say(f"done; in all {self.provenance.so_far()}")
        return self.last

    def _example(self) -> dict[str, np.ndarray]:
        """A batch, before captions are encoded; draws frozen networks that are untrained, too."""
        example, system = self._pipeline_of(None).example_batch(), self.plan.system
        system.complete(example)
        if reading.is_cached(system, self.plan.data):
            example = reading.with_cached_sentences(example, system)
        return example

    def _curves(self) -> None:
        metrics = self.plan.workdir / "metrics.jsonl"
        if self.chief and paths.exists(metrics):
            rows, damaged = read_rows(metrics)
            if damaged:
                lines = ", ".join(map(str, damaged))
                self._say(f"{metrics} has damaged lines, which the curves lack: {lines}")
            pictures.curves(rows, self.plan.workdir / "curves.png")

    def _describe(self, state: TrainState) -> None:
        """Writes the run's own description and says what is trained."""
        if not self.chief:
            return
        self.plan.run_data.write(self.plan.workdir)
        runs.write_config(self.plan.workdir, self.plan.config)
        if self.plan.system.tokenizer is not None:
            runs.write_tokenizer(self.plan.workdir, self.plan.system.tokenizer)
        for name, network in self.plan.system.frozen.items():
            if not paths.exists(networks.path_of(self.plan.workdir, name)):
                networks.save(self.plan.workdir, name, network)
        sizes = {k: sum(x.size for x in jax.tree.leaves(v)) for k, v in state.params.items()}
        self._say(self.plan.summary(sizes))

    def _restore(self, fresh: TrainState) -> TrainState:
        """The latest checkpoint, on this run's devices; moves the pipeline to its position.

        fresh: the state's shapes.
        """
        abstract = self.plan.parallel.abstract(fresh)
        ema, rest, data, _ = self.checkpoints.restore_train(
            None, _train_item(abstract), abstract.ema
        )
        if self.plan.run_data.known:  # and accepted, be their number another
            data = {**data, "records": len(self.plan.source)}
        self.pipeline.restore(data)
        state = self.plan.parallel.from_global(TrainState(ema=ema, **rest))
        self._say(f"resumed from step {int(rest['step']):,} in {self.plan.workdir}")
        self.progress.start_at(int(rest["step"]))
        return state

    def _batches(self) -> Iterator[Any]:
        """Device batches: `d_steps` host batches each, along a leading axis."""
        while True:
            parts = [next(self.pipeline) for _ in range(self.plan.config.d_steps)]
            yield self.plan.parallel.put_batch(
                {k: np.stack([p[k] for p in parts]) for k in parts[0]}
            )

    def _steps(self, start, state, frozen, batch, batches, step, grids) -> None:
        window: list[dict[str, jax.Array]] = []
        self.progress.restart()
        for done in range(start + 1, self.plan.total + 1):
            state, metrics = step(state, batch, frozen)
            window.append(metrics)
            if len(window) > _AHEAD:
                jax.block_until_ready(window[-1 - _AHEAD])
            last = done == self.plan.total
            # The state that is saved says that `done` batches were used: position it before
            # the next one is drawn.
            position = self.pipeline.state()
            told = self._told_to_stop(done)
            saving = last or told or done % self.plan.checkpoint_every == 0
            if not (last or told):
                batch = next(batches)
            if self.chief:
                self.progress.live(done)
            if done % self.plan.log_every == 0 or saving:
                self._log(done, window)
                window = []
            with self.progress.paused():
                if self.draws and (done % self.plan.sample_every == 0 or last):
                    self._draw(grids, done, state)
                if saving:
                    self._save(done, state, position, told or last)
            if told and not last:
                why = self.stopping.why
                self._say(f"stopped by {why}; saved step {done:,}. The same command goes on.")
                raise SystemExit(self.stopping.status)

    def _log(self, done: int, window: list[dict[str, jax.Array]]) -> None:
        """Writes the means of the steps since the last call, after checking every step of them."""
        if self.chief:
            self.owner.check()
        rows = [self.plan.parallel.scalars(metrics) for metrics in window]
        for offset, row in enumerate(rows):
            bad = [name for name, value in row.items() if not math.isfinite(value)]
            if bad:
                raise not_finite(bad, done - len(rows) + 1 + offset, self.checkpoints)
        self.last = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        if self.chief:
            rates = self.progress.interval(done, self.last)
            self.writer.scalars(done, {**self.last, **rates})
        for warning in self.watch.look(self.last):
            self._say(warning)

    def _draw(self, grids: SampleGrids | None, done: int, state: TrainState) -> None:
        raw = {"params": state.params, "stats": state.stats}
        drawn = {"samples": state.ema, **({"raw": raw} if self.plan.config.train.raw_grids else {})}
        # On all processes: each holds parts of it.
        drawn = {name: self.plan.parallel.whole(tree) for name, tree in drawn.items()}
        if grids is None:
            return
        for name, tree in drawn.items():
            folder = self.plan.workdir / name
            folder.mkdir(exist_ok=True)
            with self._waiting(f"drawing {name}"):
                picture = grids.picture(tree)
            pictures.save(picture, folder / f"step_{done:08d}.png")
            self.writer.picture(done, name, np.asarray(picture))

    def _save(self, done: int, state: TrainState, position: dict, wait: bool) -> None:
        stored = self.plan.parallel.to_global(state)
        found = jax.device_get(norms(_train_item(stored) | {"ema": stored.ema}))
        if bad := [name for name, norm in found.items() if not math.isfinite(norm)]:
            raise not_finite(bad, done, self.checkpoints)
        found = self._evaluate(done, state)
        best = self.plan.best
        if best and best not in found:
            raise ValueError(f"evals.best={best!r}{suggest(best, found)}")
        if self.chief:
            self.writer.sync()
        self.checkpoints.save(
            done,
            metric=found.get(best),
            exploded=self.watch.exploded,
            ema=stored.ema,
            train=_train_item(stored),
            data=position,
            config=self.plan.config.to_dict(),
        )
        if self.chief:
            self.provenance.update(done)
        if wait:
            self.checkpoints.wait()

    def _evaluate(self, done: int, state: TrainState) -> dict[str, float]:
        """What the evaluators find, ``"<evaluator>/<value>"``, in the averaged networks and in
        those of which there is no average.
        """
        if not self.plan.evaluators:
            return {}
        live = {"params": state.params, "stats": state.stats}
        networks = self.plan.parallel.whole(
            {k: {**live[k], **tree} for k, tree in state.ema.items()}
        )
        found = {}
        for name, evaluate in self.plan.evaluators.items():
            with self._waiting(f"measuring {name}"):
                found |= {f"{name}/{key}": value for key, value in evaluate(networks).items()}
        self._say(f"step {done:,}  " + "  ".join(f"{k} {v:.4g}" for k, v in found.items()))
        if self.chief:
            self.writer.scalars(done, found)
        return found

    def _told_to_stop(self, done: int) -> bool:
        if self.progress.closed:
            self.stopping.ask(signal.SIGPIPE, "what it printed to, which was closed")
        if jax.process_count() > 1:
            if not multihost_utils.reached_preemption_sync_point(done):
                return False
            self.stopping.ask(signal.SIGTERM, "SIGTERM to one of its processes")
        return bool(self.stopping.status)


def _train_item(state: TrainState) -> dict[str, Any]:
    """What a checkpoint holds beside the averaged networks."""
    return {
        "step": state.step,
        "params": state.params,
        "stats": state.stats,
        "opt": state.opt,
    }
