"""Lengths of trainings, in steps, epochs or images."""

import dataclasses
import math
import re

_DURATION = re.compile(r"\s*([\d_]*\.?\d+(?:e\d+)?)\s*([kmb]?)\s*([a-z]*)\s*")
_UNITS = {"step": 1, "steps": 1, "epoch": 2, "epochs": 2, "image": 3, "images": 3}
_SUFFIX = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}


@dataclasses.dataclass(frozen=True)
class Duration:
    """A length of training: ``"30k steps"``, ``"600 epochs"``, ``"1.5M images"``; a bare number is
    steps.
    """

    amount: float
    unit: str  # "steps" | "epochs" | "images"

    @classmethod
    def parse(cls, text: str | int) -> "Duration":
        """Raises ValueError for text that is no duration."""
        match = _DURATION.fullmatch(str(text).lower())
        unit = match and (match[3] or "steps")
        if not match or unit not in _UNITS:
            raise ValueError(
                f"{text!r} is no duration; write '30k steps', '600 epochs' or '1M images'"
            )
        amount = float(match[1].replace("_", "")) * _SUFFIX[match[2]]
        if math.isinf(amount):
            raise ValueError(f"{text!r} is no duration that ends")
        return cls(amount, ("steps", "epochs", "images")[_UNITS[unit] - 1])

    def steps(self, batch: int, records: int) -> int:
        """Length in train steps of `batch` images each, for a split of `records` images; at least
        0. Raises ValueError for more than a step counter counts.
        """
        per_step = {"steps": 1.0, "epochs": batch / records, "images": float(batch)}[self.unit]
        if self.amount / per_step >= 2**31:
            raise ValueError(
                f"{self.amount:g} {self.unit} are {self.amount / per_step:.3g} steps: at most "
                f"{2**31 - 1:,} can be counted"
            )
        return round(self.amount / per_step)
