"""The state of a training, as one pytree."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

Tree = Any


@flax.struct.dataclass
class TrainState:
    """All that a step changes. Parameters and optimizer state are float32.

    step: int32 scalar, number of finished steps.
    params: parameters by network: the players, and ``"encoder"`` where it is trained jointly.
    stats: the other variables (running statistics) by player.
    opt: optimizer state by player.
    ema: ``{"params": ..., "stats": ...}``, the averaged networks that samples are drawn from.
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


def update_ema(ema: dict, params: dict, stats: dict, decay: float) -> dict:
    """``decay * ema + (1 - decay) * new`` on parameters and running statistics alike."""

    def blend(old, new):
        return jax.tree.map(lambda a, b: decay * a + (1.0 - decay) * b, old, new)

    return {
        "params": {k: blend(v, params[k]) for k, v in ema["params"].items()},
        "stats": {k: blend(v, stats[k]) for k, v in ema["stats"].items()},
    }


def restart_from_ema(state: TrainState, every: int) -> TrainState:
    """The state that training goes on with after each step: where its number is a multiple of
    `every`, G's parameters are those of the average. Source: the release of StackGAN-v2, which at
    every snapshot (2,000 steps) puts the average into the generator it trains and leaves it there.

    All else is unchanged: the average itself, which goes on from the new parameters; G's optimizer
    state and running statistics; a jointly trained encoder.
    """
    due = state.step % every == 0
    own, average = state.params["g"], state.ema["params"]["g"]
    params = jax.tree.map(lambda p, a: jnp.where(due, a, p), own, average)
    return state.replace(params={**state.params, "g": params})


def init_ema(params: dict, stats: dict) -> dict:
    """Copies, not references: a donated buffer may appear in the state only once."""
    names = sampled_networks(params)
    return {
        "params": jax.tree.map(jnp.copy, {k: params[k] for k in names}),
        "stats": jax.tree.map(jnp.copy, {k: v for k, v in stats.items() if k in names}),
    }
