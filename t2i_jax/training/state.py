"""The state of a training, as one pytree."""

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from t2i_jax.config import suggest

Tree = Any
STATISTICS = ("averaged", "live")


@flax.struct.dataclass
class TrainState:
    """All that a step changes. Parameters and optimizer state are float32.

    step: int32 scalar, number of finished steps.
    params: parameters by network: the players, and ``"encoder"`` where it is trained jointly.
    stats: the other variables (running statistics) by player.
    opt: optimizer state by player.
    ema: ``{"params": ..., "stats": ...}``, the networks that samples are drawn from, see `Ema`.
    """

    step: jax.Array
    params: dict[str, Tree]
    stats: dict[str, Tree]
    opt: dict[str, Tree]
    ema: dict[str, Tree]


def networks_of(player: str, params: dict[str, Tree]) -> tuple[str, ...]:
    """Names of the networks that a player's optimizer updates: G also trains a joint encoder."""
    return ("g", "encoder") if player == "g" and "encoder" in params else (player,)


def sampled_networks(params: dict[str, Tree]) -> tuple[str, ...]:
    """Names of the networks that are averaged: all but D."""
    return tuple(name for name in params if name != "d")


@dataclasses.dataclass(frozen=True)
class Ema:
    """How the networks that samples are drawn from follow the ones that are trained: their
    exponential moving average. Its tree is ``{"params": by network, "stats": by player}``.

    decay: per step; the half-life is log(1/2) / log(decay) steps. 0: no average, the last weights.
    ramp: the half-life is at most `ramp` times what was trained so far, so that the random start is
        soon forgotten. 0: never shortened. Source: the release of StyleGAN2-ADA, ``ema_rampup``;
        it counts in images, and the batch cancels.
    statistics: running statistics are ``"averaged"`` as parameters are, or ``"live"``: the last.
    restart_every: steps after which training goes on from the average, see `restart`. 0: never.
    kept: networks beside the sampled ones that are kept as they are, not averaged.

    Raises ValueError for values that make no sense, named as the fields of the section ``ema``.
    """

    decay: float = 0.0
    ramp: float = 0.0
    statistics: str = "averaged"
    restart_every: int = 0
    kept: tuple[str, ...] = ()

    def __post_init__(self):
        if not 0 <= self.decay < 1:
            raise ValueError(f"ema.decay={self.decay}: must be at least 0 and below 1")
        if not self.ramp >= 0:
            raise ValueError(f"ema.ramp={self.ramp}: must be a positive number, 0 for none")
        if self.statistics not in STATISTICS:
            known = suggest(self.statistics, STATISTICS)
            raise ValueError(f"ema.statistics={self.statistics!r}{known}")
        if self.restart_every < 0:
            raise ValueError(
                f"ema.restart_every={self.restart_every}: must be a number of steps, 0 for never"
            )
        for field in ("ramp", "restart_every"):
            if getattr(self, field) and not self.decay:
                raise ValueError(
                    f"ema.{field}={getattr(self, field)} needs an average: set ema.decay or "
                    "ema.half_life"
                )

    def init(self, params: dict[str, Tree], stats: dict[str, Tree]) -> dict[str, Tree]:
        """The average before the first step: all networks but D, and the kept ones.

        They are copies: a donated buffer may appear in the state only once. Raises ValueError for
        a kept network that does not exist.
        """
        for name in self.kept:
            if name not in params:
                raise ValueError(f"no network {name!r} to keep{suggest(name, params)}")
        names = (*sampled_networks(params), *self.kept)
        return {
            "params": _copy({k: v for k, v in params.items() if k in names}),
            "stats": _copy({k: v for k, v in stats.items() if k in names}),
        }

    def update(
        self, average: dict[str, Tree], params: dict[str, Tree], stats: dict[str, Tree], step
    ) -> dict[str, Tree]:
        """``decay * average + (1 - decay) * new``.

        step: the number of steps finished before the one that gave `params`: 0 after the first.
        """
        keep, take = self._weights(step)

        def blend(old, new):
            return jax.tree.map(lambda a, b: keep * a + take * b, old, new)

        def follow(old: dict[str, Tree], new: dict[str, Tree], averaged: bool):
            live = self.kept if averaged else tuple(old)
            return {k: _copy(new[k]) if k in live else blend(v, new[k]) for k, v in old.items()}

        return {
            "params": follow(average["params"], params, True),
            "stats": follow(average["stats"], stats, self.statistics == "averaged"),
        }

    def _weights(self, step):
        """Those of the old average and of the new value."""
        keep, take = self.decay, 1.0 - self.decay
        if not self.ramp:
            return keep, take
        half_life = jnp.maximum(self.ramp * jnp.asarray(step, jnp.float32), 1e-8)
        ramped = -jnp.log(2.0) / half_life
        return jnp.minimum(keep, jnp.exp(ramped)), jnp.maximum(take, -jnp.expm1(ramped))

    def restart(self, state: TrainState) -> TrainState:
        """The state that training goes on with after a step: where its number is a multiple of
        `restart_every`, G's parameters are those of the average. Source: the release of
        StackGAN-v2, which at every snapshot (2,000 steps) puts the average into the generator it
        trains and leaves it there.

        All else is unchanged: the average itself, which goes on from the new parameters; G's
        optimizer state and running statistics; a jointly trained encoder.
        """
        if not self.restart_every:
            return state
        due = state.step % self.restart_every == 0
        own, average = state.params["g"], state.ema["params"]["g"]
        params = jax.tree.map(lambda p, a: jnp.where(due, a, p), own, average)
        return state.replace(params={**state.params, "g": params})


def _copy(tree: Tree) -> Tree:
    return jax.tree.map(jnp.copy, tree)
