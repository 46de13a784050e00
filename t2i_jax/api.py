"""What Python programs and notebooks call: configs, trainings, data sets, evaluations, pictures.

    report = t2i_jax.prepare("toy_birds", data_dir="data", num_images=2000)
    config = t2i_jax.load_config("configs/gan_int_cls.py:toy_birds", {"data.name": report.name})
    result = t2i_jax.train(config, "runs/birds")
    t2i_jax.evaluate(result.workdir, "grid", num=8)

The command lines do the same and take the same names. Nothing here ends the process, touches a
signal outside of the main thread, or chooses matplotlib's backend. docs/python.md has examples.
"""

import signal
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from t2i_jax import config as configs
from t2i_jax import paths
from t2i_jax.arguments import RaisingParser
from t2i_jax.loaded_config import Config, load_config, own_copy
from t2i_jax.notebooks import EvaluationResult, TrainingResult, show

if TYPE_CHECKING:  # slow to import
    from t2i_jax.data.report import Report

__all__ = [
    "Config",
    "EvaluationResult",
    "TrainingResult",
    "evaluate",
    "load_config",
    "prepare",
    "show",
    "train",
]
Option = int | paths.Named | Sequence[paths.Named] | None

# Orbax 0.12 mixes up the saves of two managers that save at once in threads of a process.
_TRAINING = threading.Lock()
# Options of the command line that are not for a Python program: it loops, and samples, itself.
_NOT_HERE = {"protocol", "workdir", "watch", "save_samples"}
_NOT_HERE |= {"multihost", "coordinator", "num_processes", "process_id"}


def train(
    config: Config | ConfigDict | Mapping[str, Any] | paths.Named, workdir: paths.Named
) -> TrainingResult:
    """Trains what a config describes, or goes on where the run in `workdir` stopped. Prints how far
    it is to stderr.

    config: of `load_config`; it is not changed. Also its spec, or another ConfigDict or dict, such
        as a run's ``config.json``, whose missing fields have their defaults.

    On the main thread Ctrl-C, or a notebook's stop button, saves the state after the step that is
    running and raises KeyboardInterrupt; a second one ends the training at once. The same call then
    goes on from what is saved. Other threads hear no signals.

    Raises ValueError for a config that fits neither itself nor the run, FileNotFoundError for
    missing data, `t2i_jax.owner.OwnedError` where another training writes in `workdir`,
    FloatingPointError where a loss is not finite, TypeError for what is no config or no path,
    RuntimeError while another training runs in this process.
    """
    from t2i_jax.commands.train import evaluators
    from t2i_jax.training import loop, runs
    from t2i_jax.training.stopping import Stopping

    workdir, (config, given) = paths.text("workdir", workdir), own_copy(config)
    if not _TRAINING.acquire(blocking=False):
        raise RuntimeError(
            f"another training runs in this process: start that of {workdir} when it has ended, "
            "or in a process of its own, as by python -m t2i_jax.train"
        )
    stopping = Stopping()
    try:
        with stopping.interrupted():
            metrics = loop.train(config, workdir, evaluators, stopping, given)
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and stopping.status != 128 + signal.SIGINT:
            raise
        step = runs.latest_step(workdir)
        then = "begins anew" if step is None else f"goes on from step {step:,}, which is saved"
        raise KeyboardInterrupt(
            f"the training in {workdir} was interrupted. The same call {then}"
        ) from None
    finally:
        _TRAINING.release()
    return TrainingResult(workdir, config.system, runs.latest_step(workdir), metrics)


def prepare(
    dataset: str,
    data_dir: paths.Named = "data",
    source: paths.Named | None = None,
    *,
    images: paths.Named | None = None,
    name: str = "",
    split_kind: str = "",
    max_side: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> "Report":
    """Builds a data set, unless it is there already; returns the report of what was found, whose
    ``name`` is the ``data.name`` of configs.

    dataset: a name, or a module with a builder of your own, such as ``"mylab.my_birds"``.
    data_dir: where prepared sets are kept; the ``data.data_dir`` of configs.
    source: the folder with the data set's own files; None for generated ones.
    images: where the pictures are, if not in the source.
    name: what a folder's set is called, if not as the folder.
    split_kind: which of its splits, "disjoint" or "official" of cub and flowers.
    max_side: store images shrunk to that many pixels of the short side.
    strict: fail instead of repairing or skipping. overwrite: prepare anew what is there.
    progress: print how far it is.
    options: those of single sets: num_images, size, seed, embeddings, traces, no_captions,
        test_share.

    Warns of notes and of splits that are not complete. Raises `t2i_jax.data.report.DataError`, a
    ValueError, for what cannot be prepared; its ``report`` says what had been found by then.
    TypeError for what is no name or path.
    """
    from rich.console import Console

    from t2i_jax.data import catalog

    if not isinstance(dataset, str):
        raise TypeError(f"dataset={dataset!r}: a name is needed, one of {list(catalog.DATASETS)}")
    report = catalog.prepare(
        dataset,
        None if source is None else paths.text("source", source),
        paths.text("data_dir", data_dir),
        max_side=max_side,
        strict=strict,
        split_kind=split_kind,
        images=None if images is None else paths.text("images", images),
        called=name,
        overwrite=overwrite,
        console=Console(stderr=True) if progress else None,
        **options,
    )
    for warning in report.warnings:
        warnings.warn(warning, stacklevel=2)
    return report


def evaluate(workdir: paths.Named | None, protocol: str, **options: Option) -> EvaluationResult:
    """Evaluates a run by a named protocol, and writes what `t2i_jax.commands.evaluate` writes:
    ``RUN/evaluation/<protocol>.json``, pictures, and a line of ``results.jsonl`` for numbers.

    workdir: the run directory; None for ``images=DIR, out=DIR`` without a run.
    protocol: such as ``"fid30k"``, ``"kid500"``, ``"grid"`` (docs/evaluation.md).
    options: those of the command line by name: ``num=100, seed=1, out="results"``; None for the
        default. Of several runs ``against`` takes a list.

    Raises ValueError for an unknown protocol or option and for one that the protocol does not look
    at, FileNotFoundError for what is not there, ImportError for a missing extra, TypeError for what
    is no path or name.
    """
    from t2i_jax.commands import evaluate as command

    if not isinstance(protocol, str):
        raise TypeError(f"protocol={protocol!r}: a name is needed, such as 'fid30k' or 'grid'")
    if workdir is not None:
        workdir = paths.text("workdir", workdir)
    parsed = command.parse(["--protocol=grid", "--workdir=any"], RaisingParser)
    known = {*vars(parsed)} - _NOT_HERE
    argv = [f"--protocol={protocol}", f"--workdir={workdir or ''}"]
    for name, value in options.items():
        if name not in known:
            raise ValueError(f"evaluate has no option {name!r}{configs.suggest(name, known)}")
        default = getattr(parsed, name)
        several = isinstance(default, list) and isinstance(value, list | tuple)
        for part in value if several else [value]:
            if isinstance(default, str | list) and not isinstance(part, paths.Named | None):
                raise TypeError(f"{name} is {part!r}: a name or a path is needed")
            argv += [] if part is None else [f"--{name}={part}"]
    args = command.parse(argv, RaisingParser)
    outcome, files = command.found(args)
    record = outcome.record
    return EvaluationResult(
        protocol=args.protocol if record is None else record.protocol,
        workdir=args.workdir,
        step=outcome.details.get("step") if record is None else record.step,
        values={} if record is None else record.values,
        spreads={} if record is None else record.spreads,
        lower_is_better=() if record is None else record.lower_is_better,
        conditions={} if record is None else record.conditions,
        details=outcome.details,
        pictures=outcome.pictures,
        text=outcome.text,
        files=files,
    )
