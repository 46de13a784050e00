"""What every trouble needs: a tiny prepared set, trainings on it, and what they leave behind."""

import hashlib
import json
import os
import pathlib
import random
import shutil
import time
from typing import Any

import train_commands
from quick_compiling import options
from train_commands import ROOT, Command

from t2i_jax.data import catalog
from t2i_jax.training.runs import checkpoints_dir
from t2i_jax.training.step_folder import TRAINING, steps_in

EVERY = 2  # steps between checkpoints
# Words, whose vocabulary is a file that matters, of an encoder whose vectors are cached.
ARGUMENTS = (
    "--encoder.name=damsm",
    "--encoder.source=random",
    "--encoder.fields.word_dim=6",
    "--encoder.fields.embedding=12",
    "--data.captions=1",
    "--data.truncate=head",
    f"--train.checkpoint_every={EVERY} steps",
    f"--train.sample_every={2 * EVERY} steps",
    "--train.keep=2",
)
train_commands.PATIENCE = 1800  # of trials that share a busy machine


def prepare(folder: pathlib.Path) -> None:
    """A few birds in ``folder/data``."""
    catalog.prepare("toy_birds", None, str(folder / "data"), num_images=40, size=32)


class Ground:
    """A folder with ``data``, in which trainings are made and spoilt.

    rng: chooses every random moment and byte. seconds: measured of an undisturbed training: until
    its first step, and for each step, saving included.
    """

    def __init__(self, folder: pathlib.Path, seed: int = 0):
        self.folder, self.data = folder, folder / "data"
        self.rng = random.Random(seed)
        self.seconds = (0.0, 0.0)
        os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count=1 {options()}"
        self.variables = {
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            "T2I_JAX_TRACEBACK": "",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
        }

    def arguments(self, steps: int) -> tuple[str, ...]:
        """What the training of so many steps is told beside its directories."""
        return (*ARGUMENTS, f"--train.duration={steps} steps")

    def train(self, workdir: pathlib.Path, steps: int, devices: int = 1, data=None) -> Command:
        """A process that trains, or goes on, to so many steps."""
        told = self.arguments(steps)
        where = (workdir, data or self.data)
        return Command(*where, *told, devices=devices, variables=self.variables)

    def undisturbed(self, steps: int) -> pathlib.Path:
        """A run of so many steps that nothing happened to; made once."""
        workdir = self.folder / f"undisturbed_{steps}"
        if not workdir.exists():
            began = time.monotonic()
            command = self.train(workdir, steps)
            command.wait_for(1)
            first = time.monotonic()
            command.succeed()
            self.seconds = (first - began, (time.monotonic() - first) / steps)
        return workdir

    def soon(self, saves: float) -> None:
        """Sleeps for up to so many times what passes from one checkpoint to the next."""
        time.sleep(self.rng.uniform(0, saves * EVERY * self.seconds[1]))

    def fresh(self, name: str, source: pathlib.Path | None = None) -> pathlib.Path:
        """A path where nothing is, or a copy of `source`."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        if source is not None:
            shutil.copytree(source, path)
        return path


def saved(workdir: pathlib.Path) -> int:
    """The newest whole checkpoint; 0 for none."""
    return max(steps_in(checkpoints_dir(workdir), TRAINING), default=0)


def left(workdir: pathlib.Path) -> dict[str, Any]:
    """What a training leaves, which must be the same to the last bit whatever happened on the way.
    Raises AssertionError where a step's values stand twice, ValueError for a damaged line.
    """
    steps = checkpoints_dir(workdir)
    digests = steps / str(saved(workdir)) / "digests" / "process_0.json"
    pictures = sorted((workdir / "samples").glob("*.png"))
    return {
        "weights": json.loads(digests.read_text())["leaves"],
        "metrics": train_commands.metrics(workdir),
        "pictures": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in pictures},
        "tokenizer": (workdir / "tokenizer.json").read_text(),
        "config": json.loads((workdir / "config.json").read_text())["generator"],
        "files": _names(workdir),
    }


def _names(workdir: pathlib.Path) -> set[str]:
    """Of all files; of whole checkpoints the folders alone, whose files have random names."""
    names = (path.relative_to(workdir) for path in workdir.rglob("*") if path.is_file())
    whole = {f"checkpoints/{step}" for step in steps_in(checkpoints_dir(workdir), TRAINING)}
    return {next((str(p) for p in name.parents if str(p) in whole), str(name)) for name in names}


def differences(expected: dict[str, Any], workdir: pathlib.Path) -> list[str]:
    """What a run left otherwise than expected, in words; empty where all is the same."""
    try:
        found = left(workdir)
    except (AssertionError, ValueError, OSError) as error:
        return [str(error)]
    lines = []
    for key, wanted in expected.items():
        if found[key] == wanted:
            continue
        other, names = found[key], set()
        if isinstance(wanted, dict):
            names = {k for k in wanted.keys() | other.keys() if wanted.get(k) != other.get(k)}
        elif isinstance(wanted, set):
            names = wanted ^ other
        lines.append(f"{key} differ: {', '.join(map(str, sorted(names)[:5]))}")
    return lines
