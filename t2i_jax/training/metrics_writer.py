"""Where metrics go: always one JSON object a line; TensorBoard and Weights & Biases on request."""

import json
import math
from collections.abc import Mapping

import numpy as np

from t2i_jax import paths
from t2i_jax.training import files


class MetricsWriter:
    """Writes scalars and sample pictures. Only process 0 makes one.

    A resumed run drops the lines of steps that it is about to repeat, so that each value of a step
    stands once; what is evaluated at a step is a line of its own. Raises ModuleNotFoundError naming
    the extra to install where TensorBoard or W&B is asked for and missing.
    """

    def __init__(
        self, workdir: paths.Path, *, start: int, tensorboard=False, wandb="", config=None
    ):
        self.path = workdir / "metrics.jsonl"
        if paths.exists(self.path):
            rows = paths.read_bytes(self.path).decode().splitlines()
            kept = [row for row in rows if _step(row) <= start]
            files.write(self.path, "".join(row + "\n" for row in kept))
        self._lines = paths.Lines(self.path)
        self._tensorboard = _tensorboard(workdir, start) if tensorboard else None
        self._wandb = _wandb(wandb, workdir, config) if wandb else None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One line: the step and these values; a value that is not finite is written as null."""
        row = {k: (v if math.isfinite(v) else None) for k, v in values.items()}
        self._lines.add(json.dumps({"step": step, **row}))
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


def _step(row: str) -> float:
    try:
        return json.loads(row)["step"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return math.inf  # a line cut short by a kill


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
