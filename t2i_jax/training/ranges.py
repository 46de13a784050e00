"""The numbers that fields of a config may be. Those of the classes that a config describes are
checked by the classes themselves, and what depends on several fields or on the data where it is
used.
"""

import fnmatch
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from t2i_jax.config import Duration


class Range(NamedTuple):
    """Which values are allowed, and that in words."""

    holds: Callable[[Any], bool]
    words: str


def at_least(least: float) -> Range:
    """From `least` on."""
    return Range(lambda x: x >= least, f"at least {least}")


def above(bound: float) -> Range:
    """Without the bound itself."""
    return Range(lambda x: x > bound, f"above {bound}")


SHARE = Range(lambda x: 0 <= x < 1, "at least 0 and below 1")


def _whole(x: Any) -> bool:
    duration = Duration.parse(x)
    return duration.amount >= (1 if duration.unit in ("steps", "images") else 1e-9)


DURATION = Range(_whole, "a duration of at least one step or image, such as '500 steps'")
MAYBE_DURATION = Range(
    lambda x: Duration.parse(x).amount == 0 or _whole(x),
    "'0 steps' for never, or a duration of at least one step or image",
)

# By pattern of field names; the first that fits holds.
RANGES: Mapping[str, Range] = {
    "train.sample_every": MAYBE_DURATION,
    "train.duration": DURATION,
    "train.*_every": DURATION,
    "train.keep": at_least(1),
    "train.samples": at_least(1),
    "evals.records": at_least(1),
    "d_steps": at_least(1),
    "fsdp": at_least(1),
    "optim.*.b1": SHARE,
    "optim.*.b2": SHARE,
    "optim.*.lr": at_least(0),
    "optim.*.lr_floor": at_least(0),
    "optim.*.eps": at_least(0),
    "optim.*.clip_norm": at_least(0),
    "optim.*.clip.*": at_least(0),
    "optim.*.groups.*": at_least(0),
    "loss.*.*": at_least(0),
    "recipe.*temperature": above(0),
    "recipe.gamma*": above(0),
    "recipe.rho*": above(0),
    "recipe.ma_gp_scale": at_least(0),
    "recipe.group": at_least(0),
    "generator.rho": above(0),
    "tokenizer.length": at_least(1),
    "*.dropout": SHARE,
}


def check(fields: Mapping[str, Any]) -> None:
    """Raises ValueError with one line for every field that is out of its range, or no finite
    number.

    fields: values by dotted name, as of `t2i_jax.config.flatten`.
    """
    wrong = []
    for name, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            wrong.append(f"{name}={value}: must be a finite number")
            continue
        allowed = next((r for p, r in RANGES.items() if fnmatch.fnmatchcase(name, p)), None)
        if allowed is not None and value not in (None, {}) and not allowed.holds(value):
            wrong.append(f"{name}={value}: must be {allowed.words}")
    if wrong:
        raise ValueError("\n".join(wrong))
