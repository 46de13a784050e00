"""Where metrics go: always one JSON object a line; TensorBoard and Weights & Biases on request."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from t2i_jax import paths
from t2i_jax.training import files, sealed


class MetricsWriter:
    """Writes scalars and sample pictures. Only process 0 makes one.

    A resumed run drops the lines of steps that it is about to repeat, so that each value of a step
    stands once; what is evaluated at a step is a line of its own. Each line carries a checksum.

    damaged: numbers of the lines of a resumed run that were damaged, and are dropped too.
    last: the step of the last line of a resumed run; less than `start` where lines were lost.

    Raises ModuleNotFoundError naming the extra to install where TensorBoard or W&B is asked for and
    missing.
    """

    def __init__(
        self, workdir: paths.Path, *, start: int, tensorboard=False, wandb="", config=None
    ):
        self.path = workdir / "metrics.jsonl"
        self.damaged: list[int] = []
        self.last = start
        if paths.exists(self.path):
            rows, self.damaged = read_rows(self.path)
            kept = [row for row in rows if row["step"] <= start]
            files.write(self.path, "".join(f"{_line(row)}\n" for row in kept))
            self.last = max((row["step"] for row in kept), default=0)
        self._lines = paths.Lines(self.path)
        self._tensorboard = _tensorboard(workdir, start) if tensorboard else None
        self._wandb = _wandb(wandb, workdir, config) if wandb else None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One line: the step and these values; a value that is not finite is written as null."""
        row = {k: (v if math.isfinite(v) else None) for k, v in values.items()}
        self._lines.add(_line({"step": step, **row}))
        if self._tensorboard:
            for name, value in values.items():
                self._tensorboard.add_scalar(name, value, step)
        if self._wandb:
            self._wandb.log(dict(values), step=step)

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """An [H, W, 3] uint8 picture, for TensorBoard and W&B."""
        if self._tensorboard:
            self._tensorboard.add_image(name, image, step, dataformats="HWC")
        if self._wandb:
            import wandb

            self._wandb.log({name: wandb.Image(image)}, step=step)

    def sync(self) -> None:
        """Returns when every line is where others can read it."""
        self._lines.sync()

    def close(self) -> None:
        """Flushes and closes all of them."""
        self._lines.close()
        if self._tensorboard:
            self._tensorboard.close()
        if self._wandb:
            self._wandb.finish()


def read_rows(path: paths.Path) -> tuple[list[dict[str, Any]], list[int]]:
    """The rows of a ``metrics.jsonl``, and the numbers of lines that are damaged. A last line that
    a kill cut short is neither. Lines of older runs have no checksum.
    """
    rows, damaged = [], []
    for number, line in enumerate(paths.read_bytes(path).split(b"\n")[:-1], 1):
        try:
            row = sealed.unseal(json.loads(line))
            sound = isinstance(row["step"], int)
            sound &= all(v is None or isinstance(v, int | float) for v in row.values())
        except (ValueError, KeyError, AttributeError):
            sound = False
        if sound:
            rows.append(row)
        elif line.strip():
            damaged.append(number)
    return rows, damaged


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(sealed.seal(row))


def _tensorboard(workdir: paths.Path, start: int):
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "log.tensorboard=True needs tensorboardX: pip install 't2i_jax[tensorboard]'"
        ) from error
    purge = start + 1 if start else None  # TensorBoard drops what is about to be repeated
    return SummaryWriter(str(workdir / "tensorboard"), purge_step=purge)


def _wandb(project: str, workdir: paths.Path, config):
    try:
        import wandb
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "log.wandb needs Weights & Biases: pip install 't2i_jax[wandb]'"
        ) from error
    folder = None if paths.protocol(workdir) else str(workdir)  # its own, where it needs a disk
    return wandb.init(project=project, dir=folder, config=config, resume="allow")
