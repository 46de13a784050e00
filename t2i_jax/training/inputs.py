"""From a host batch to what networks take: float images and encoded captions."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax import types
from t2i_jax.recipes.terms import Batch, Variables
from t2i_jax.types import Text


def to_float(images: jax.Array) -> jax.Array:
    """uint8 0..255 -> float32 in [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1.0


def with_float_images(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The host batch with its images normalised."""
    images = {k: to_float(v) for k, v in batch.items() if k in (types.IMAGES, types.WRONG_IMAGES)}
    return {**batch, **images}


def encode(
    module: nn.Module | None, variables: Variables | None, batch: Batch, wrong: bool = False
) -> Text | None:
    """The batch's captions as a Text; K captions a row are averaged. None where it has none.

    module: the text encoder; None where batches bring sentence vectors, or no text.
    wrong: the mismatched captions instead.
    """
    tokens_key = types.WRONG_TOKENS if wrong else types.TOKENS
    sentence_key = types.WRONG_SENTENCE if wrong else types.SENTENCE
    if sentence_key in batch:
        return Text(batch[sentence_key])
    if module is None or tokens_key not in batch:
        return None
    tokens = batch[tokens_key]
    mask = batch[types.WRONG_MASK if wrong else types.MASK]
    rows, captions, length = tokens.shape
    text = module.apply(variables, tokens.reshape(-1, length), mask.reshape(-1, length))
    if captions == 1:
        return text
    return Text(jnp.mean(text.sentence.reshape(rows, captions, -1), axis=1))
