"""The numbers that fields of a config may be. What depends on several fields or on the data is
checked where it is used.
"""

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from t2i_jax.config import Duration


class Range(NamedTuple):
    """Which values are allowed, and that in words. Of a tuple, every entry is to be."""

    holds: Callable[[Any], bool]
    words: str


def within(least: float, most: float) -> Range:
    """Between the two, or either. What is above `most` is no training's, but a slip of the pen."""
    return Range(lambda x: _number(x) and least <= x <= most, f"from {least:,} to {most:,}")


def above(bound: float, most: float) -> Range:
    """Without the bound itself."""
    return Range(lambda x: _number(x) and bound < x <= most, f"above {bound} and at most {most:,}")


def _number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


SHARE = Range(lambda x: _number(x) and 0 <= x < 1, "at least 0 and below 1")


def _whole(x: Any) -> bool:
    duration = Duration.parse(x)
    return duration.amount >= (1 if duration.unit in ("steps", "images") else 1e-9)


DURATION = Range(_whole, "a duration of at least one step or image, such as '500 steps'")
MAYBE_DURATION = Range(
    lambda x: Duration.parse(x).amount == 0 or _whole(x),
    "'0 steps' for never, or a duration of at least one step or image",
)
UNSET_OR_DURATION = Range(
    lambda x: x == "" or _whole(x), "empty, or a duration of at least one step or image"
)

_STEPS = 2**31 - 1  # that a step counter in int32 can count
_WEIGHT, _RATE, _SCALE = within(0, 10**6), within(0, 1_000), above(0, 1_000)
_WIDTH, _DEPTH = within(1, 65_536), within(0, 1_000)

# By pattern of field names; the first that fits holds. Networks have more rules of their own.
RANGES: Mapping[str, Range] = {
    "train.sample_every": MAYBE_DURATION,
    "train.duration": DURATION,
    "train.*_every": DURATION,
    "train.keep": within(1, _STEPS),
    "train.samples": within(1, 10_000),
    "evals.records": within(1, 10**9),
    "d_steps": within(1, 1_000),
    "fsdp": within(1, 65_536),
    "seed": within(0, 2**32 - 1),
    "data.seed": within(0, 2**32 - 1),
    "data.size": within(1, 8_192),
    "data.batch": within(1, 10**6),
    "data.captions": within(0, 10_000),
    "data.load_ratio": within(1, 16),
    "data.threads": within(0, 1_024),
    "data.workers": within(0, 1_024),
    "data.prefetch": within(1, 1_024),
    "ema.half_life": UNSET_OR_DURATION,
    "ema.decay": SHARE,
    "ema.ramp": _WEIGHT,
    "ema.restart_every": within(0, _STEPS),
    "optim.*.b1": SHARE,
    "optim.*.b2": SHARE,
    "optim.*.decay": SHARE,
    "optim.*.momentum": SHARE,
    "optim.*.lr": _RATE,
    "optim.*.lr_floor": _RATE,
    "optim.*.eps": within(0, 1),
    "optim.*.clip_norm": _WEIGHT,
    "optim.*.clip.*": _WEIGHT,
    "optim.*.groups.*": _RATE,
    "optim.*.reset_every": UNSET_OR_DURATION,
    "loss.*.*": _WEIGHT,
    "recipe.*temperature": _SCALE,
    "recipe.gamma*": _SCALE,
    "recipe.rho*": _SCALE,
    "recipe.margin": _RATE,
    "recipe.ma_gp_scale": _WEIGHT,
    "recipe.ma_gp_exponent": above(0, 100),
    "recipe.group": within(0, 10**6),
    "recipe.image_network_size": within(0, 8_192),
    "recipe.classes": within(1, 10**6),
    "attributes.classes": within(1, 10**6),
    "generator.rho": _SCALE,
    "generator.sdm_mask_scale": _RATE,
    "tokenizer.length": within(1, 100_000),
    "tokenizer.captions": within(1, 10**6),
    "*.dropout": SHARE,
    "*.epsilon": within(0, 1),
    "*.vocab_size": within(0, 2**24),
    "*.image_size": within(1, 8_192),
    "*.image_sizes": within(1, 8_192),
    "*.base_size": within(1, 8_192),
    "*_dim": within(0, 65_536),
    "*.channels": _WIDTH,
    "*.width": _WIDTH,
    "*widths": _WIDTH,
    "*.embedding": _WIDTH,
    "*.inner": _WIDTH,
    "*.heads": _WIDTH,
    "*.positions": within(1, 2**20),
    "*.types": _WIDTH,
    "*.layers": within(1, 1_000),
    "*.scales": within(1, 10),
    "*_scales": within(1, 10),
    "*_blocks": _DEPTH,
    "*_convs": _DEPTH,
    "*_layers": _DEPTH,
    "*_stages": _DEPTH,
    "*_copies": _DEPTH,
    "*.affines": _DEPTH,
    "*_kernel": within(1, 64),
    "*.attend_from": within(1, 8_192),
}


def check(fields: Mapping[str, Any]) -> None:
    """Raises ValueError with one line for every field that is out of its range, or no finite
    number.

    fields: values by dotted name, as of `t2i_jax.config.flatten`.
    """
    wrong = []
    for name, value in fields.items():
        values = value if isinstance(value, tuple | list) else (value,)
        numbers = [x for x in values if isinstance(x, int | float)]
        if not all(-_FLOAT32 <= x <= _FLOAT32 for x in numbers):
            wrong.append(f"{name}={value}: must be a finite number")
            continue
        allowed = next((r for p, r in RANGES.items() if fnmatch.fnmatchcase(name, p)), None)
        if not values and name.endswith(_SOME):
            wrong.append(f"{name}={value}: must be one number or more")
        elif allowed is not None and value not in (None, {}):
            wrong += [
                f"{name}={value}: must be {allowed.words}" for x in values if not _is(allowed, x)
            ][:1]
    if wrong:
        raise ValueError("\n".join(wrong))


_FLOAT32 = 3.4e38
_SOME = ("widths", "classes")  # the only sequences that mean nothing when they are empty


def _is(allowed: Range, value: Any) -> bool:
    try:
        return allowed.holds(value)
    except ValueError:  # no duration
        return False
