"""A training that comes apart, told before its numbers are NaN."""

import collections
import statistics
from collections.abc import Mapping

WINDOW = 50  # logged intervals that a median is of
ENOUGH = 5  # and before so many nothing is said
LEAP = 30.0  # times the median: worth a warning
EXPLODED = 1000.0  # times the median: not worth a checkpoint
WON = 20  # intervals of a D that is always right
ALWAYS = 0.995


class Watch:
    """Compares every logged interval of a training with those before it.

    Gradient norms and the sums of losses are compared with their running median, which a sum near
    0 does not shrink below 1; D's accuracies with 1. Each thing is said once, and again when it
    has been well in between.

    exploded: whether a gradient norm or loss is `EXPLODED` times its median at this moment.
    """

    def __init__(self):
        self.exploded = False
        self._seen: dict[str, collections.deque] = {}
        self._said: set[str] = set()
        self._won = 0

    def look(self, metrics: Mapping[str, float]) -> list[str]:
        """Warnings about the means of an interval, one line each."""
        found, ratios = {}, [0.0]
        for name, value in metrics.items():
            player, _, kind = name.partition("/")
            if kind not in ("grad_norm", "total"):
                continue
            before = self._seen.setdefault(name, collections.deque(maxlen=WINDOW))
            if len(before) >= ENOUGH:
                median = max(statistics.median(before), 1.0 if kind == "total" else 1e-8)
                ratios.append(abs(value) / median)
                if ratios[-1] > LEAP:
                    found[name] = (
                        f"warning: {name} is {value:.3g}, {ratios[-1]:,.0f} times its median of "
                        f"the last {len(before)} intervals. If it stays there, lower "
                        f"optim.{player}.lr or set optim.{player}.clip_norm, and go on from an "
                        "earlier checkpoint (delete the folders of later steps in checkpoints/)"
                    )
            before.append(abs(value))
        self.exploded = max(ratios) > EXPLODED
        right = [v for name, v in metrics.items() if name.startswith("d/accuracy_")]
        self._won = self._won + 1 if right and min(right) >= ALWAYS else 0
        if self._won >= WON:
            found["d"] = (
                f"warning: D has been right about every image for {self._won} intervals, and G "
                "learns nothing from such a D. Lower optim.d.lr, add a penalty (loss.d.r1) or "
                "augment (recipe.augment), see docs/regularizers.md"
            )
        new = [text for name, text in found.items() if name not in self._said]
        self._said = set(found)
        return new
