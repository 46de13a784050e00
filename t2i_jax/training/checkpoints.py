"""Checkpoints of a run: Orbax underneath, and the guarantees that it does not give.

A directory holds ``<step>/{ema,train,data,config,digests}`` and ``best.json``. A step directory
appears by one rename, so a killed process leaves either a whole step or a temporary directory.
Added to Orbax 0.12: shapes and dtypes are compared before restoring (it casts silently), a checksum
of every leaf is verified after it, partial step directories never count as the latest, the best
step is kept beside the latest ones and a NaN never becomes best, and a failed asynchronous write is
reported with the directory and a remedy.

This and `checkpoints_item` are the only modules of the package that import Orbax.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp

from t2i_jax import paths
from t2i_jax.choices import check_choice
from t2i_jax.training import echoes, leaves, step_marks
from t2i_jax.training.checkpoints_item import restore_item
from t2i_jax.training.same_run import check_same_run, compare_configs
from t2i_jax.training.step_folder import (
    COMMITTED,
    SAMPLING,
    TRAINING,
    StepFolder,
    brief,
    steps_in,
    to_json,
)

__all__ = ["Checkpoints", "check_same_run", "compare_configs", "meet"]

log = logging.getLogger(__name__)


def check_place(directory: str | os.PathLike) -> None:
    """Raises ValueError for a store that Orbax does not know."""
    if paths.protocol(directory) in paths.STORES.keys() - {"gs"}:
        raise ValueError(
            f"{directory}: checkpoints are kept in local folders and on gs:// only; name such a one"
        )


def meet(name: str, hours: float = 2.0) -> None:
    """Waits until every process has come here; nothing on one process. Each name serves once.

    Through the coordinator: a collective gives up after as little as 30 s without its partners,
    which may still be compiling.
    """
    ocp.multihost.get_barrier_sync_fn()(key=name, timeout_ms=int(hours * 3.6e6))


class _Keep(ocp.checkpoint_managers.PreservationPolicy):
    """See `StepMarks.kept`."""

    def __init__(self, owner: "Checkpoints"):
        self._owner = owner

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        steps = [c.step for c in checkpoints]
        kept = self._owner._kept(steps)
        return [step in kept for step in steps]


class Checkpoints:
    """Saves and restores one run. Use as a context manager, or call `close` before exit: a save
    that is still being written when the interpreter ends is lost.

    directory: made ready for saving here: created, and what a killed run left half-written is
        removed; so is a step that was being deleted. Another step directory that is not whole did
        not come from here and is renamed to ``<step>.incomplete``.
    keep: number of newest steps that are kept; the best step is kept in addition.
    asynchronous: `save` returns when the arrays are on the host; a thread writes them.
    best_mode: "min" or "max": which metric is best.
    read_only: change nothing in the directory and refuse `save`: for a sampler, which may read
        while a training writes.

    On several processes each makes one and calls every method, in the same order. The state is a
    pytree of global jax arrays (NumPy arrays and numbers are allowed); typed PRNG keys are refused.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        *,
        keep: int = 3,
        asynchronous: bool = True,
        best_mode: str = "min",
        read_only: bool = False,
    ):
        if keep < 1:
            raise ValueError(f"keep={keep}: at least the latest checkpoint must be kept")
        check_choice("best_mode", best_mode, ("min", "max"))
        check_place(directory)
        self.directory = paths.path(directory)
        if not paths.protocol(directory):
            self.directory = self.directory.absolute()
        self.keep, self.best_mode = keep, best_mode
        self._asynchronous, self._read_only = asynchronous, read_only
        self._manager: ocp.CheckpointManager | None = None
        self._writing: int | None = None  # the step that a thread may still be writing
        self._marks = step_marks.StepMarks()
        if not read_only:
            self._quiet = echoes.WithoutSaves()
            self._prepare()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            self.close()
        except OSError as failed:
            if error is None:
                raise
            log.error("the last checkpoint failed as well: %s", failed)  # do not hide the first

    # --- writing ---------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Sweeps the directory and makes Orbax's manager, which is a barrier of all processes."""
        self._marks = step_marks.read(self.directory)
        try:
            if jax.process_index() == 0:
                self._sweep()
            mine = ocp.options.MultiprocessingOptions(primary_host=None)
            name = f"process_{jax.process_index()}.json"
            self._manager = ocp.CheckpointManager(
                self.directory,
                item_handlers={
                    "ema": ocp.StandardCheckpointHandler(),
                    "train": ocp.StandardCheckpointHandler(),
                    # Orbax writes JSON from process 0 only; these two differ between processes.
                    "data": ocp.JsonCheckpointHandler(name, multiprocessing_options=mine),
                    "digests": ocp.JsonCheckpointHandler(name, multiprocessing_options=mine),
                    "config": ocp.JsonCheckpointHandler("config.json"),
                },
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=_Keep(self),
                    enable_async_checkpointing=self._asynchronous,
                    save_root_metadata=False,
                ),
            )
        except OSError as error:
            raise OSError(f"cannot write checkpoints to {self.directory}: {error}") from error

    def _kept(self, steps: Iterable[int]) -> set[int | None]:
        return self._marks.kept(steps, self.keep, self.best_mode)

    def _sweep(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.directory.is_dir():  # an empty one of a store
            return
        for path in sorted(self.directory.iterdir()):
            if ocp.utils.TMP_DIR_SUFFIX in path.name:
                log.warning("removing %s, which an interrupted save left", path)
                # A failed save's other threads may still write there; the next sweep gets it.
                _remove(path)
            elif path.name.isdigit() and not StepFolder(path).has(TRAINING):
                if int(path.name) not in self._kept({*self.steps(), int(path.name)}):
                    log.warning("removing what is left of %s, which was being deleted", path)
                    _remove(path)
                    continue
                aside = path.with_name(f"{path.name}.incomplete")
                log.warning("%s is not a whole checkpoint: renaming it to %s", path, aside.name)
                _remove(aside)
                path.rename(aside)

    def save(
        self,
        step: int,
        *,
        ema: Any,
        train: Any,
        data: Mapping[str, Any],
        config: Mapping[str, Any],
        metric: float | None = None,
        exploded: bool = False,
        force: bool = False,
    ) -> bool:
        """Saves one step; True if it did, False if this step is saved already.

        data: JSON, this process's own. config: JSON, the same on every process.
        metric: the same on every process; NaN and infinities are ignored. Given for a step that is
            saved already, it is recorded.
        exploded: this step is finite but of a training that came apart: it takes no other's place.
        force: allow a step older than the latest one (a run that was rewound).

        Raises OSError if this or the previous save could not be written; ValueError or TypeError
        for a state that cannot be saved, or a step older than the latest.
        """
        if self._read_only:
            raise ValueError(f"{self.directory} was opened with read_only=True: nothing is saved")
        self.wait()
        if self._manager is None:
            self._prepare()
        step, existing = int(step), self._manager.all_steps()
        if step in existing:
            if metric is not None:
                self._record(step, metric, step in self._marks.exploded)
            return False
        if existing and step < max(existing) and not force:
            raise ValueError(
                f"step {step} is older than the latest checkpoint {max(existing)} in "
                f"{self.directory}: resume from the latest, delete the later steps, or use another "
                "workdir"
            )
        flat = {"ema": leaves.flatten(ema), "train": leaves.flatten(train)}
        for item, state in flat.items():
            if not state:
                raise ValueError(f"nothing to save: {item!r} has no arrays")
            leaves.check_storable(state)
        texts = {"data": to_json("data", data), "config": to_json("config", config)}
        digests = {
            "processes": jax.process_count(),
            "leaves": {item: leaves.summarize(state) for item, state in flat.items()},
            "json": {item: leaves.text_crc32(text) for item, text in texts.items()},
        }
        try:
            self._record(step, metric, exploded)
            saved = self._manager.save(
                step,
                args=ocp.args.Composite(
                    **{k: ocp.args.StandardSave(leaves.nest(state)) for k, state in flat.items()},
                    **{k: ocp.args.JsonSave(json.loads(text)) for k, text in texts.items()},
                    digests=ocp.args.JsonSave(digests),
                ),
                force=True,
            )
        except Exception as error:  # Orbax and TensorStore raise many types for a full disk
            raise self._failed(step, error) from error
        if not saved:
            raise self._failed(step, RuntimeError("Orbax skipped the save"))
        self._writing = step
        return True

    def _record(self, step: int, metric: float | None, exploded: bool) -> None:
        """Puts what is known of a step into best.json, before the step is written: an entry
        without a step is ignored.
        """
        new = self._marks.marked(step, metric, exploded, self._manager.all_steps())
        if new != self._marks and jax.process_index() == 0:
            new.write(self.directory)
        self._marks = new

    def wait(self) -> None:
        """Returns when nothing is being written. Raises OSError if the last save failed."""
        if self._manager is None:
            return
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failed(self._writing, error) from error
        self._writing = None

    def close(self) -> None:
        """Waits and frees the threads; as `wait`, raises OSError if the last save failed."""
        self.wait()
        if self._manager is not None:
            manager, self._manager = self._manager, None
            manager.close()
            self._quiet.end()  # not after a failed save

    def _failed(self, step: int | None, error: Exception) -> OSError:
        # A manager that failed is not used again: the next save starts with a clean directory.
        manager, self._manager, self._writing = self._manager, None, None
        try:
            manager.close()
        except Exception:
            log.debug("closing after a failed save", exc_info=True)
        latest = self.latest_step()
        resume = "no checkpoint is left" if latest is None else f"the latest whole one is {latest}"
        return OSError(
            f"the checkpoint of step {step} was not written to {self.directory}: {brief(error)}\n"
            "Check the free space, quota and permissions there, then run the same command again "
            f"({resume})."
        )

    # --- which steps there are -------------------------------------------------------------------

    def steps(self) -> list[int]:
        """All whole checkpoints on disk, in order; one that is being written does not count."""
        return steps_in(self.directory, TRAINING)

    def latest_step(self) -> int | None:
        """The newest whole checkpoint on disk, or None."""
        return max(self.steps(), default=None)

    def best_step(self) -> int | None:
        """The whole checkpoint with the best metric (the newer of equals), or None."""
        return step_marks.read(self.directory).best(self.steps(), self.best_mode)

    # --- reading ---------------------------------------------------------------------------------

    def restore_train(
        self, step: int | None, abstract_train: Any, abstract_ema: Any = None
    ) -> tuple[Any, Any, dict, dict]:
        """``(ema, train, data, config)`` of a step, or of the latest where `step` is None.

        abstract_train, abstract_ema: pytrees of `jax.ShapeDtypeStruct` with the sharding to restore
            onto, or arrays to be replaced (their values are not used). A leaf without a sharding
            goes to the first local device. Without `abstract_ema` the EMA is not read: None.
        data: this process's own dict. On another number of processes than saved it, the dicts of
            all processes must have been equal.

        Raises FileNotFoundError where there is no such checkpoint; ValueError where it is of
        another model (listing the leaves that differ) or damaged (naming leaf and file).
        """
        folder = self._find(step, TRAINING)
        records = folder.records()
        targets = {"train": abstract_train, "ema": abstract_ema}
        flats = {k: leaves.flatten(tree) for k, tree in targets.items() if tree is not None}
        lines = [
            f"{item}/{line}"
            for item, flat in flats.items()
            for line in leaves.differences(records[item], flat)
        ]
        if lines:
            more = f"\n  ... and {len(lines) - 10} more" if len(lines) > 10 else ""
            raise ValueError(
                f"{folder.path} is a checkpoint of another model: {len(lines)} leaves differ:\n  "
                + "\n  ".join(lines[:10])
                + f"{more}\nUse the config it was trained with, or start in another workdir."
            )
        out = {"ema": None}
        for item, flat in flats.items():
            restored = restore_item(folder, item, flat, records[item])
            out[item] = jax.tree.unflatten(jax.tree.structure(targets[item]), restored.values())
        return out["ema"], out["train"], folder.data(), folder.config()

    def restore_ema(self, step: int | None = None) -> tuple[dict, dict]:
        """``(ema, config)`` on one local device, however many devices and processes saved it.

        ema: nested dicts of jax arrays (a tuple or dataclass in it comes back as a dict; empty
            dicts are gone). Needs only ``ema``, ``config`` and ``digests`` of the step directory.

        Raises FileNotFoundError and ValueError as `restore_train`.
        """
        folder = self._find(step, SAMPLING)
        records = folder.records()["ema"]
        return leaves.nest(restore_item(folder, "ema", _shapes(records), records)), folder.config()

    def restore_live(self, network: str, step: int | None = None) -> dict:
        """``{"params": {network: ...}, "stats": ...}`` of the training's own state, on one local
        device; nothing else of it is read.

        Raises FileNotFoundError and ValueError as `restore_train`, ValueError for an unknown
        network.
        """
        folder = self._find(step, TRAINING)
        records = folder.records()["train"]
        kinds = tuple(f"{kind}/{network}/" for kind in ("params", "stats"))
        flat = {k: x for k, x in _shapes(records).items() if k.startswith(kinds)}
        if not flat:
            raise ValueError(f"{folder.path} has no network {network!r}")
        return leaves.nest(restore_item(folder, "train", flat, records))

    def _find(self, step: int | None, items: Mapping[str, str]) -> StepFolder:
        self.wait()
        steps = steps_in(self.directory, items)
        if not steps:
            raise FileNotFoundError(f"no whole checkpoint in {self.directory}{self._hint()}")
        if step is not None and step not in steps:
            raise FileNotFoundError(
                f"no whole checkpoint of step {step} in {self.directory}; there are {steps}"
            )
        return StepFolder(self.directory / str(steps[-1] if step is None else step))

    def _hint(self) -> str:
        if not paths.protocol(self.directory):
            return ""
        return f" (steps that were copied there need an empty file {COMMITTED} each)"


def _remove(folder: paths.Path) -> None:
    """Removes what is there of a folder."""
    if not paths.protocol(folder):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        folder.rmtree()


def _shapes(records: Mapping[str, dict]) -> leaves.Flat:
    """The leaves that were saved, without their values."""
    return {
        name: jax.ShapeDtypeStruct(tuple(record["shape"]), jax.numpy.dtype(record["dtype"]))
        for name, record in records.items()
    }
