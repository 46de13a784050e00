"""The networks of a run that compare images with captions: a trained pair of encoders, or a
discriminator that is an encoder as well.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from t2i_jax import types
from t2i_jax.recipes.terms import Seen
from t2i_jax.training import build, runs
from t2i_jax.training.build import System
from t2i_jax.training.inputs import encode, to_float

Embed = Callable[[Any, Any, Mapping[str, Any]], dict[str, tuple[Any, Any]]]


def embedder(system: System) -> Embed:
    """`Recipe.embed` of (the player's variables, those of the text encoder or None, a host batch).

    Raises ValueError where nothing that the recipe trains compares images with captions.
    """
    if not system.recipe.embeds:
        raise ValueError(
            f"{system.config.system!r} trains nothing that compares images with captions"
        )

    def embed(variables, encoder, batch):
        batch = {**batch, types.IMAGES: to_float(batch[types.IMAGES])}
        return system.recipe.embed(variables, Seen(batch, encode(system.encoder, encoder, batch)))

    return embed


def variables(system: System, networks: Mapping[str, Any]) -> tuple[dict, dict | None]:
    """What an `embedder` takes first.

    networks: ``{"params": by network, "stats": by player}``.
    """
    player = system.recipe.embeds
    own = {"params": networks["params"][player], **networks["stats"].get(player, {})}
    encoder = system.variables.get("encoder")
    if "encoder" in networks["params"]:
        encoder = {"params": networks["params"]["encoder"]}
    return own, encoder


def restored(
    config: ConfigDict, workdir: str | os.PathLike, step: int | None
) -> tuple[System, dict[str, Any]]:
    """(the system, its networks as `variables` takes them) of a run at one of its checkpoints, the
    latest by default: averaged where the run averages them, else as they were trained.

    config: the run's. Raises FileNotFoundError where there is no such checkpoint.
    """
    system = build.restore(config, workdir)
    _, networks = runs.load_ema(workdir, step)
    player = system.recipe.embeds
    if player and player not in networks["params"]:
        live = runs.load_live(workdir, player, step)
        networks = {kind: {**networks[kind], **tree} for kind, tree in live.items()}
    return system, networks
