"""Dual encoders that runs of the library have trained: those of a DAMSM or a char-CNN-RNN, or a
discriminator that compares images with captions; and the DAMSM that a GAN's run has kept.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from t2i_jax import paths
from t2i_jax.data import transforms
from t2i_jax.evaluation import embedding
from t2i_jax.evaluation.extractors.base import DualEncoder, Images
from t2i_jax.evaluation.extractors.devices import on_all_devices
from t2i_jax.evaluation.extractors.pairs import pair
from t2i_jax.interop import weights
from t2i_jax.training import networks, runs
from t2i_jax.training.build import System
from t2i_jax.training.inputs import encode, to_float
from t2i_jax.training.modules import module_hints, recipe_module
from t2i_jax.types import IMAGES, MASK, TOKENS

_KIND = "sentence"
_KEPT = ("damsm", networks.TEXT_ENCODER)  # what a GAN's run keeps of a DAMSM


@dataclasses.dataclass(frozen=True)
class _Pair:
    """name, description: of the extractor. variables: what both functions take first.
    images: uint8 [B, side, side, 3] -> [B, E]. text: ``{TOKENS, MASK}``, [B, 1, T] each -> [B, E].
    fields: what decides beside the weights. trees: the weights, for `DualEncoder.parts`.
    """

    name: str
    description: str
    variables: Any
    images: Callable[[Any, jax.Array], jax.Array]
    text: Callable[[Any, Mapping[str, jax.Array]], jax.Array]
    fields: str
    trees: Mapping[str, Any]


def load(run: str, batch_size: int = 64) -> DualEncoder:
    """The networks by which a run's `Recipe.embed` compares whole images with sentences, from the
    checkpoint that other runs would take: the best where ``evals.best`` chose one, else the latest.
    Of a GAN without any, the DAMSM that it was trained with and has kept.

    Raises FileNotFoundError where there is no checkpoint, and ValueError where the run has nothing
    of the kind.
    """
    config = runs.read_config(run)
    side = config.data.size
    recipe = recipe_module(config.system).Recipe
    kept = all(paths.exists(networks.path_of(run, name)) for name in _KEPT)
    found = _kept(run) if kept and not recipe.embeds else _trained(run, config)
    tokenizer = runs.read_tokenizer(run)
    of_pixels = on_all_devices(_precise(found.images), found.variables, batch_size)
    of_tokens = on_all_devices(_precise(found.text), found.variables, batch_size)
    example = jax.ShapeDtypeStruct((1, side, side, 3), np.uint8)

    def of_images(images: Images) -> np.ndarray:
        resized = [transforms.resize(image, side, side) for image in images]
        return of_pixels(np.stack(resized) if resized else np.zeros((0, side, side, 3), np.uint8))

    def of_ids(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return of_tokens({TOKENS: ids[:, None], MASK: mask[:, None]})

    parts = {name: weights.digest(tree) for name, tree in found.trees.items()}
    return pair(
        name=found.name,
        description=f"{found.description}, at {side} px",
        preprocessing=f"resized to {side} px, areas averaged below half the size, v / 127.5 - 1",
        identity=found.fields + "".join(parts.values()),
        width=jax.eval_shape(found.images, found.variables, example).shape[1],
        of_images=of_images,
        tokenizer=tokenizer,
        of_ids=of_ids,
        parts=parts,
        source=run,
    )


def _precise(function: Callable[[Any, Any], jax.Array]) -> Callable[[Any, Any], jax.Array]:
    """The function with products in the highest precision."""

    def precise(variables, rows):
        with jax.default_matmul_precision("highest"):
            return function(variables, rows).astype(jnp.float32)

    return precise


def _trained(run: str, config: ConfigDict) -> _Pair:
    chosen = runs.best_step(run)
    step = runs.latest_step(run) if chosen is None else chosen
    system, kept = embedding.restored(config, run, step)
    try:
        embed = embedding.embedder(system)
    except ValueError as error:
        raise ValueError(f"{run}: {error}") from None
    side, length = config.data.size, system.tokenizer.length

    # The half that is not returned is not computed: the compiler drops it.
    def of_images(given, images: jax.Array) -> jax.Array:
        ids = jnp.zeros((len(images), 1, length), jnp.int32)
        batch = {IMAGES: images, TOKENS: ids, MASK: jnp.ones(ids.shape, bool)}
        return embed(*given, batch)[_KIND][0]

    def of_text(given, tokens: Mapping[str, jax.Array]) -> jax.Array:
        images = jnp.zeros((len(tokens[TOKENS]), side, side, 3), jnp.uint8)
        return embed(*given, {IMAGES: images, **tokens})[_KIND][1]

    told = config.to_dict()
    names = ("system", "recipe", "dtype", "encoder", *module_hints(type(system.recipe)))
    return _Pair(
        config.system,
        f"{config.system} of {run}, step {step}",
        embedding.variables(system, kept),
        of_images,
        of_text,
        json.dumps({name: told.get(name) for name in names}, sort_keys=True, default=str),
        _trees(system, kept),
    )


def _kept(run: str) -> _Pair:
    image, text = (networks.load(run, name) for name in _KEPT)

    def of_images(given, images: jax.Array) -> jax.Array:
        return image.module.apply(given[0], to_float(images), train=False).code

    def of_text(given, tokens: Mapping[str, jax.Array]) -> jax.Array:
        return encode(text.module, given[1], tokens).sentence

    return _Pair(
        "damsm",
        f"the DAMSM that {run} was trained with",
        (image.variables, text.variables),
        of_images,
        of_text,
        f"{networks.digest(image)}{networks.digest(text)}",
        {"image": image.variables, "text": text.variables},
    )


def _trees(system: System, kept: Mapping[str, Any]) -> dict[str, Any]:
    """The weights: of the player's parts that other runs can take, of the whole player where there
    are none, and of a text encoder that is not the player's.
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
    return {name: tree for name, tree in found.items() if "params" in tree}
