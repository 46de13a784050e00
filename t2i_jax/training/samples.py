"""Drawing images from a generator: the one way that training grids, the sampler and evaluation
share.

Every image has a key of its own, so that it does not depend on the batch it is drawn in.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax.recipes.base import GanRecipe
from t2i_jax.training.step import encode
from t2i_jax.types import MASK, SENTENCE, TOKENS, Text


def to_uint8(images: jax.Array) -> jax.Array:
    """[-1, 1] -> 0..255, rounded to the nearest."""
    scaled = jnp.floor((images.astype(jnp.float32) + 1.0) * 127.5 + 0.5)
    return jnp.clip(scaled, 0, 255).astype(jnp.uint8)


def image_keys(seed: int, indices: Sequence[int]) -> jax.Array:
    """One key an image, from the seed and the image's index alone: [N]."""
    key = jax.random.key(seed)
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.asarray(indices, jnp.uint32))


class Drawer:
    """Compiled once per batch size; shorter batches are padded.

    networks: ``{"params": {"g": ..., ["encoder": ...]}, "stats": {"g": ...}}`` as the average keeps
    them. encoder_vars: those of a frozen encoder, else None.
    """

    def __init__(self, recipe: GanRecipe, encoder: nn.Module | None, batch_size: int = 64):
        self.recipe, self.batch_size = recipe, batch_size

        def text_of(networks, encoder_vars, inputs) -> Text | None:
            if "encoder" in networks["params"]:
                encoder_vars = {"params": networks["params"]["encoder"]}
            return encode(encoder, encoder_vars, inputs)

        def draw(networks, text, noise):
            g_vars = {"params": networks["params"]["g"], **networks["stats"]["g"]}
            return tuple(to_uint8(x) for x in recipe.sample(g_vars, text, noise))

        self._text = jax.jit(text_of)
        self._noise = jax.jit(recipe.sample_noise)
        self._draw = jax.jit(draw)

    def text(self, networks, encoder_vars, inputs: dict[str, np.ndarray]) -> Text:
        """Encoded captions of a batch with tokens and mask, or sentence vectors: N rows each."""
        return self._batched(lambda part: self._text(networks, encoder_vars, part), inputs)

    def noise(self, keys: jax.Array) -> dict[str, jax.Array]:
        """The noise of [N] keys."""
        return self._batched(self._noise, keys)

    def images(self, networks, text: Text | None, noise) -> tuple[np.ndarray, ...]:
        """uint8 images, a tuple over scales of [N, H, W, 3]."""
        return self._batched(lambda part: self._draw(networks, *part), (text, noise))

    def _batched(self, function, tree):
        total = jax.tree.leaves(tree)[0].shape[0]
        parts = []
        for start in range(0, total, self.batch_size):
            rows = [min(start + i, total - 1) for i in range(self.batch_size)]
            part = function(jax.tree.map(lambda x, rows=rows: x[np.asarray(rows)], tree))
            kept = min(self.batch_size, total - start)
            parts.append(jax.tree.map(lambda x, kept=kept: np.asarray(x)[:kept], part))
        return jax.tree.map(lambda *xs: np.concatenate(xs), *parts)


def text_inputs(tokenizer, captions: Sequence[str]) -> dict[str, np.ndarray]:
    """A batch with the captions' tokens and mask, [N, 1, T] each."""
    ids, mask = tokenizer.encode(captions)
    return {TOKENS: ids[:, None], MASK: mask[:, None]}


def sentence_inputs(vectors: np.ndarray) -> dict[str, np.ndarray]:
    """A batch with precomputed sentence vectors [N, E]."""
    return {SENTENCE: np.asarray(vectors, np.float32)}
