"""What the ``search()`` of a sweep file may look through.

from t2i_jax.sweeps.ranges import choice, log_uniform, uniform

def search():
    return {
        "optim.g.lr": log_uniform(1e-5, 1e-3),
        "loss.g.kl": uniform(0.0, 2.0),
        "generator.channels": choice(16, 32),
        "data.batch": 32,  # the same in every trial
        "metric": "toy_attributes/every_colour",
        "direction": "maximize",
    }
"""

import dataclasses
import math
from typing import Any

from t2i_jax.sweeps.entries import plain


@dataclasses.dataclass(frozen=True)
class Number:
    """From `low` to `high`, both included; log: evenly on a logarithmic scale; whole: no fractions.

    Raises ValueError where that is no range.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self):
        for bound in (self.low, self.high):
            if isinstance(bound, bool) or not isinstance(bound, int | float):
                raise ValueError(f"{bound!r}: a range is between two numbers")
            if not math.isfinite(bound) or (self.whole and bound != int(bound)):
                raise ValueError(f"{bound!r}: a range is between two finite, or whole, numbers")
        if not self.low < self.high:
            raise ValueError(f"a range from {self.low} to {self.high} is empty")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, not at {self.low}")

    @property
    def ends(self) -> tuple[float, float]:
        """Both bounds, with a fraction where values between them have one: 1.0 and not 1."""
        kind = int if self.whole else float
        return kind(self.low), kind(self.high)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of some values, of any type that a field may have. Raises ValueError for fewer than two
    values, and where two look the same on a command line.
    """

    values: tuple[Any, ...]

    def __post_init__(self):
        if len(set(map(str, self.values))) < max(len(self.values), 2):
            raise ValueError(f"choice{self.values}: it takes two different values or more")


Range = Number | Choice


def uniform(low: float, high: float) -> Number:
    """Any number between the two."""
    return Number(plain(low), plain(high))


def log_uniform(low: float, high: float) -> Number:
    """Any number between the two, as often from 1e-5 to 1e-4 as from 1e-4 to 1e-3."""
    return Number(plain(low), plain(high), log=True)


def whole(low: int, high: int, log: bool = False) -> Number:
    """Any whole number between the two."""
    return Number(plain(low), plain(high), log, whole=True)


def choice(*values: Any) -> Choice:
    """One of the values."""
    return Choice(plain(values))
