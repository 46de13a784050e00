"""What an evaluation protocol is given: samples of a run, and real images to hold against them."""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """A run under evaluation. Nothing is drawn or decoded before a protocol asks for it.

    workdir, system, step: the run, what it trained, and the checkpoint.
    num, seed: how many samples; they are a function of (seed, index).
    captions: where their captions are from, in words; empty for a generator without text.
    draw: gives the samples, uint8 [num, H, W, 3] at the highest resolution.
    real: gives the real images, uint8 [M, H, W, 3], none twice, M <= num; None where there is no
        data.
    """

    workdir: str
    system: str
    step: int
    num: int
    seed: int
    captions: str
    draw: Callable[[], np.ndarray]
    real: Callable[[], np.ndarray] | None

    def describe(self) -> dict:
        """What a result says of the samples that it was computed from. JSON types."""
        return {
            "workdir": self.workdir,
            "system": self.system,
            "step": self.step,
            "n": self.num,
            "seed": self.seed,
            "captions": self.captions,
        }
