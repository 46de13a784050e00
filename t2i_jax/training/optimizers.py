"""Optimizers and learning-rate schedules from config sections.

A transformation here returns the direction of descent; the step multiplies it by the learning rate
of its own step count, so that a schedule means the same for a player that is updated several times
a step.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from t2i_jax.config import Duration, suggest
from t2i_jax.training import parameter_groups

Schedule = Callable[[jax.Array], jax.Array]


class _TorchAdamState(NamedTuple):
    count: jax.Array
    mu: optax.Updates
    nu: optax.Updates


def scale_by_torch_adam(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Adam as Torch7's optim has it: epsilon is added to sqrt(v) *before* the bias correction.

    ``sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)``. Differs from the usual form where
    gradients are tiny.
    """

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return _TorchAdamState(jnp.zeros([], jnp.int32), zeros, zeros)

    def update(grads, state, params=None):
        del params
        count = state.count + 1
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, grads)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, grads)
        t = count.astype(jnp.float32)
        scale = jnp.sqrt(1 - b2**t) / (1 - b1**t)
        updates = jax.tree.map(lambda m, v: scale * m / (jnp.sqrt(v) + eps), mu, nu)
        return updates, _TorchAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


def torch_adam(lr: float, b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """`scale_by_torch_adam` with a fixed learning rate, for use outside the train step."""
    return optax.chain(scale_by_torch_adam(b1, b2, eps), optax.scale(-lr))


def _adam(b1=0.9, b2=0.999, eps=1e-8):
    return optax.scale_by_adam(b1=b1, b2=b2, eps=eps)


def _rmsprop(decay=0.99, eps=1e-8):
    # Torch7's form: the mean square starts at 0 and epsilon is added to the root.
    return optax.scale_by_rms(decay=decay, eps=eps, initial_scale=0.0, eps_in_sqrt=False)


_DIRECTIONS = {
    "adam": _adam,
    "torch_adam": lambda b1=0.9, b2=0.999, eps=1e-8: scale_by_torch_adam(b1, b2, eps),
    "rmsprop": _rmsprop,
    "sgd": lambda momentum=0.0: optax.trace(momentum) if momentum else optax.identity(),
}


# Fields of a section that are not the optimizer's own.
_OTHERS = {"lr", "lr_floor", "schedule", "clip_norm", "clip", "groups", "reset_every"}


def make_direction(
    section: Mapping[str, Any],
    batch: int | None = None,
    records: int | None = None,
    updates: int = 1,
) -> optax.GradientTransformation:
    """The direction of descent of an ``optim.<player>`` section: all but its learning rate.

    batch, records: images in a step and in the data; only ``reset_every`` asks for them.
    updates: how many times a step updates the player.

    Beside the optimizer's own fields a section may have ``clip_norm`` and ``clip`` (see
    `parameter_groups.clipped`), ``groups`` (factors of the learning rate, see
    `parameter_groups.grouped`), and ``reset_every``, the time after which Adam starts anew from
    zero moments. Frozen parameters are in no norm. The state is the optimizer's alone, without the
    frozen parameters.

    Raises ValueError for an unknown optimizer name or field and for values that make no sense.
    """
    section = dict(section)
    name = section.pop("name")
    if name not in _DIRECTIONS:
        raise ValueError(f"unknown optimizer {name!r}{suggest(name, _DIRECTIONS)}")
    fields = {k: v for k, v in section.items() if k not in _OTHERS}
    known = inspect.signature(_DIRECTIONS[name]).parameters
    for field in fields:
        if field not in known:
            raise ValueError(f"optimizer {name!r} has no field {field!r}{suggest(field, known)}")
    direction = _DIRECTIONS[name](**fields)
    if reset := section.get("reset_every"):
        if name not in ("adam", "torch_adam"):
            raise ValueError(f"reset_every={reset!r} is for Adam; {name!r} has no moments to reset")
        steps = Duration.parse(reset).steps(batch, records)
        direction = _reset(direction, max(steps, 1) * updates)
    clip, total = dict(section.get("clip", {})), section.get("clip_norm", 0.0)
    if clip or total:
        direction = parameter_groups.clipped(direction, clip, total)
    if groups := dict(section.get("groups", {})):
        direction = parameter_groups.grouped(direction, groups)
    return direction


def _reset(direction: optax.GradientTransformation, every: int) -> optax.GradientTransformation:
    """An Adam that starts anew after each `every` updates, as its own count tells them."""

    def update(grads, state, params=None):
        due = state.count >= every
        fresh = direction.init(grads)
        state = jax.tree.map(lambda new, old: jnp.where(due, new, old), fresh, state)
        return direction.update(grads, state, params)

    return optax.GradientTransformation(direction.init, update)


_TIME = r"([\d._]+\s*[kKmMbB]?\s*\w*)"
_NUMBER = r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"  # not below 0: the rate would train uphill
_EVERY = re.compile(rf"multiply {_NUMBER} every {_TIME}(?: from {_TIME})?")
_RAMP = re.compile(rf"(linear|cosine) to {_NUMBER} over {_TIME}")
_MOST = 1_000.0  # a factor of the starting rate above this is a slip of the pen

_SHAPES = {
    "linear": lambda t: 1 - t,
    "cosine": lambda t: 0.5 * (1 + jnp.cos(jnp.pi * t)),
}


def make_schedule(section: Mapping[str, Any], batch: int, records: int) -> Schedule:
    """Learning rate as a function of the train step.

    ``"constant"``; ``"multiply 0.5 every 100 epochs"``, optionally ``"from 99 epochs"`` (the first
    drop, where it is not after one full period); ``"linear to 0 over 600 epochs"``; ``"cosine to 0
    over 1M images"``. The end value of a ramp is a factor of the starting rate. The rate is never
    below the section's ``lr_floor``: max(schedule, floor). Raises ValueError for anything else.
    """
    lr, floor = float(section["lr"]), float(section.get("lr_floor", 0.0))
    if not 0 <= floor <= lr:
        raise ValueError(f"lr_floor={floor}: must be between 0 and lr={lr}")
    schedule = _schedule(section.get("schedule", "constant"), lr, batch, records)
    return (lambda step: jnp.maximum(schedule(step), floor)) if floor else schedule


def _schedule(text: str, lr: float, batch: int, records: int) -> Schedule:
    def steps(duration: str) -> int:
        length = Duration.parse(duration)
        if not length.amount:
            raise ValueError(f"the schedule {text!r} takes no time: give a duration above 0")
        return max(length.steps(batch, records), 1)

    if text == "constant":
        return lambda step: jnp.full((), lr, jnp.float32)
    if match := _EVERY.fullmatch(text):
        factor, every = float(match[1]), steps(match[2])
        if factor > 1:
            raise ValueError(f"the schedule {text!r} grows without end: a factor up to 1 is needed")
        first = steps(match[3]) if match[3] else every
        return lambda step: (
            lr * factor ** jnp.maximum((step - first) // every + 1, 0).astype(jnp.float32)
        )
    if match := _RAMP.fullmatch(text):
        end, over = float(match[2]), steps(match[3])
        if end > _MOST:
            raise ValueError(f"the schedule {text!r} ends above {_MOST:,.0f} times the rate")
        shape = _SHAPES[match[1]]
        return lambda step: lr * (end + (1 - end) * shape(jnp.clip(step / over, 0.0, 1.0)))
    raise ValueError(
        f"cannot read the schedule {text!r}; write 'constant', 'multiply 0.5 every 100 epochs', "
        "'linear to 0 over 600 epochs' or 'cosine to 0 over 1M images'"
    )
