"""Dual encoders that runs of the library have trained: those of a DAMSM or a char-CNN-RNN, or a
discriminator that compares images with captions.
"""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax.data import transforms
from t2i_jax.evaluation import embedding
from t2i_jax.evaluation.extractors.base import DualEncoder, Images
from t2i_jax.evaluation.extractors.devices import on_all_devices
from t2i_jax.evaluation.extractors.pairs import pair
from t2i_jax.evaluation.subject import latest_step
from t2i_jax.interop import weights
from t2i_jax.training import networks, runs
from t2i_jax.training.build import System
from t2i_jax.training.modules import module_hints
from t2i_jax.types import IMAGES, MASK, TOKENS

_KIND = "sentence"


def load(run: str, batch_size: int = 64) -> DualEncoder:
    """The networks by which a run's `Recipe.embed` compares whole images with sentences, from the
    checkpoint that other runs would take: the best where ``evals.best`` chose one, else the latest.

    Raises FileNotFoundError where there is no checkpoint, and ValueError where the run trained
    nothing of the kind.
    """
    config = runs.read_config(run)
    chosen = runs.best_step(run)
    step = latest_step(run) if chosen is None else chosen
    system, kept = embedding.restored(config, run, step)
    try:
        embed = embedding.embedder(system)
    except ValueError as error:
        raise ValueError(f"{run}: {error}") from None
    side, length = config.data.size, system.tokenizer.length
    variables = embedding.variables(system, kept)

    # The half that is not returned is not computed: the compiler drops it.
    def image_vectors(given, images: jax.Array) -> jax.Array:
        ids = jnp.zeros((len(images), 1, length), jnp.int32)
        batch = {IMAGES: images, TOKENS: ids, MASK: jnp.ones(ids.shape, bool)}
        return _precise(embed, given, batch)[0]

    def text_vectors(given, tokens: dict[str, jax.Array]) -> jax.Array:
        images = jnp.zeros((len(tokens[TOKENS]), side, side, 3), jnp.uint8)
        return _precise(embed, given, {IMAGES: images, **tokens})[1]

    of_pixels = on_all_devices(image_vectors, variables, batch_size)
    of_tokens = on_all_devices(text_vectors, variables, batch_size)
    example = jax.ShapeDtypeStruct((1, side, side, 3), np.uint8)

    def of_images(images: Images) -> np.ndarray:
        resized = [transforms.resize(image, side, side) for image in images]
        return of_pixels(np.stack(resized) if resized else np.zeros((0, side, side, 3), np.uint8))

    def of_ids(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return of_tokens({TOKENS: ids[:, None], MASK: mask[:, None]})

    parts = _parts(system, kept)
    return pair(
        name=config.system,
        description=f"{config.system} of {run}, step {step}, at {side} px",
        preprocessing=f"resized to {side} px, areas averaged below half the size, v / 127.5 - 1",
        identity=_described(system) + "".join(parts.values()),
        width=jax.eval_shape(image_vectors, variables, example).shape[1],
        of_images=of_images,
        tokenizer=system.tokenizer,
        of_ids=of_ids,
        parts=parts,
        source=run,
    )


def _precise(embed: embedding.Embed, given: tuple, batch: dict[str, Any]) -> tuple:
    """(images, sentences), float32 [B, E] each, with products in the highest precision."""
    with jax.default_matmul_precision("highest"):
        return tuple(x.astype(jnp.float32) for x in embed(*given, batch)[_KIND])


def _parts(system: System, kept: dict[str, Any]) -> dict[str, str]:
    """Digests of the weights: of the player's parts that other runs can take, of the whole player
    where there are none, and of a text encoder that is not the player's.
    """
    player = system.recipe.embeds
    places = {k: place for k, place in system.recipe.networks.items() if place[0] == player}
    found = {
        name: networks.variables_at(place, kept)
        for name, place in (places or {player: (player,)}).items()
    }
    _, encoder = embedding.variables(system, kept)
    if encoder is not None:
        found[networks.TEXT_ENCODER] = encoder
    return {name: weights.digest(tree) for name, tree in found.items() if "params" in tree}


def _described(system: System) -> str:
    """The fields that decide what the networks compute."""
    config = system.config.to_dict()
    names = ("system", "recipe", "dtype", "encoder", *module_hints(type(system.recipe)))
    return json.dumps({name: config.get(name) for name in names}, sort_keys=True, default=str)
