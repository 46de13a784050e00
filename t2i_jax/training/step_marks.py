"""What is known of the steps of a run beside their arrays: metrics, and which had come apart."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping

from t2i_jax import paths
from t2i_jax.training import files

FILE = "best.json"


@dataclasses.dataclass(frozen=True)
class StepMarks:
    """Marks by step. A mark of a step that does not exist is ignored."""

    metrics: Mapping[int, float] = dataclasses.field(default_factory=dict)
    exploded: frozenset[int] = frozenset()

    def best(self, steps: Iterable[int], mode: str) -> int | None:
        """Of `steps` the one with the best metric by "min" or "max" (the newer of equals)."""
        sign = -1 if mode == "min" else 1
        known = (s for s in steps if s in self.metrics)
        return max(known, key=lambda s: (sign * self.metrics[s], s), default=None)

    def kept(self, steps: Iterable[int], number: int, mode: str) -> set[int | None]:
        """The steps that are not deleted: the newest `number`, the best one; and of those that had
        come apart the newest of all alone, which takes no other's place.
        """
        sound = sorted(set(steps) - self.exploded)
        return {self.best(steps, mode), *sound[-number:], max(steps, default=None)}

    def marked(
        self, step: int, metric: float | None, exploded: bool, steps: Iterable[int]
    ) -> "StepMarks":
        """With those of one more step, and only those of `steps` beside it."""
        others = set(steps) - {step}
        metrics = {s: m for s, m in self.metrics.items() if s in others}
        if metric is not None and math.isfinite(metric):
            metrics[step] = float(metric)
        return StepMarks(metrics, self.exploded & others | ({step} if exploded else set()))

    def write(self, directory: paths.Path) -> None:
        """Writes ``best.json``, whole or not at all."""
        text = {
            "metrics": {str(s): m for s, m in self.metrics.items()},
            "exploded": sorted(self.exploded),
        }
        files.write(directory / FILE, json.dumps(text))


def read(directory: paths.Path) -> StepMarks:
    """Those of a directory of checkpoints; ValueError for a damaged file."""
    path = directory / FILE
    if not paths.exists(path):
        return StepMarks()
    try:
        found = json.loads(paths.read_bytes(path))
        metrics = {int(s): float(m) for s, m in found["metrics"].items()}
        return StepMarks(metrics, frozenset(found.get("exploded", ())))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it") from error
