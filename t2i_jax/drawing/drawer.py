"""Drawing images from a generator: the one way that training grids, the sampler and evaluation
share.

Every image has a key of its own, so that it does not depend on the batch it is drawn in.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax import keys
from t2i_jax.config import suggest
from t2i_jax.data.captions import read_back
from t2i_jax.data.tokenizers import Tokenizer
from t2i_jax.drawing.spread import Spread
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.terms import Seen
from t2i_jax.training.inputs import encode, to_float
from t2i_jax.types import MASK, SENTENCE, TOKENS, Text


def to_uint8(images: jax.Array) -> jax.Array:
    """[-1, 1] -> 0..255, rounded to the nearest."""
    scaled = jnp.floor((images.astype(jnp.float32) + 1.0) * 127.5 + 0.5)
    return jnp.clip(scaled, 0, 255).astype(jnp.uint8)


def image_keys(seed: int, indices: Sequence[int]) -> jax.Array:
    """One key an image, from the seed and the image's index alone: [N]. ValueError for a seed that
    `t2i_jax.keys` refuses.
    """
    key = keys.from_seed(seed)
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.asarray(indices, jnp.uint32))


def in_batches(function: Callable[[Any], Any], tree: Any, size: int) -> Any:
    """`function` of a tree of [N, ...] arrays, `size` rows at a time: one shape, so one
    compilation.

    The last batch is filled up with copies of its last row. Returns NumPy arrays of N rows.
    """
    total = jax.tree.leaves(tree)[0].shape[0]
    parts = []
    for start in range(0, total, size):
        rows = np.minimum(np.arange(start, start + size), total - 1)
        part = function(jax.tree.map(lambda x, rows=rows: x[rows], tree))
        kept = min(size, total - start)
        parts.append(jax.tree.map(lambda x, kept=kept: np.asarray(x)[:kept], part))
    return jax.tree.map(lambda *xs: np.concatenate(xs), *parts)


def encoder_variables(networks, frozen: Any) -> Any:
    """Variables of the text encoder: of the one that was trained with G, else the `frozen` ones."""
    if "encoder" in networks["params"]:
        return {"params": networks["params"]["encoder"]}
    return frozen


def players(recipe: GanRecipe, networks) -> dict[str, dict]:
    """Variables of G, and of the players that samples show, by name."""
    return {
        name: {"params": networks["params"][name], **networks["stats"].get(name, {})}
        for name in ("g", *recipe.kept)
        if name in networks["params"]
    }


class Drawer:
    """Draws from a generator. Compiled once per batch size; shorter batches are padded.

    networks: ``{"params": {"g": ..., ["encoder": ...]}, "stats": {"g": ...}}`` as the average keeps
    them; a generator without statistics may be missing there. encoder_vars: those of a frozen
    encoder, else None. Of several devices both must be `replicated`.

    batch_size: images at a time, rounded up to a multiple of the devices.
    devices: that share every batch; None: where JAX puts it.
    """

    def __init__(
        self,
        recipe: GanRecipe,
        encoder: nn.Module | None,
        batch_size: int = 64,
        devices: Sequence[jax.Device] | None = None,
    ):
        self._spread = Spread(devices)
        self.recipe, self.batch_size = recipe, self._spread.rounded_up(batch_size)

        def text_of(networks, encoder_vars, inputs) -> Text | None:
            return encode(encoder, encoder_variables(networks, encoder_vars), inputs)

        def draw(networks, text, noise, examined: bool):
            variables, seen = players(recipe, networks), Seen({}, text)
            out, _ = recipe.generate(variables["g"], seen, noise, train=False)
            images = tuple(to_uint8(x) for x in out["images"])
            return images, recipe.examine(variables, seen, out) if examined else {}

        def examine(networks, text, images):
            out = {"images": (to_float(images),)}
            return recipe.examine(players(recipe, networks), Seen({}, text), out)

        self._text = jax.jit(text_of)
        self._noise = jax.jit(recipe.sample_noise, static_argnames="truncation")
        self._draw = jax.jit(draw, static_argnames="examined")
        self._examine = jax.jit(examine)

    def replicated(self, tree: Any) -> Any:
        """Networks or an encoder's variables on every device of the drawer."""
        return self._spread.replicated(tree)

    def text(self, networks, encoder_vars, inputs: dict[str, np.ndarray]) -> Text:
        """Encoded captions of a batch with tokens and mask, or sentence vectors: N rows each."""
        return self._in_batches(lambda part: self._text(networks, encoder_vars, part), inputs)

    def noise(self, keys: jax.Array, truncation: float | None = None) -> dict[str, jax.Array]:
        """The noise of [N] keys; see `GanRecipe.sample_noise`."""
        return self._in_batches(lambda part: self._noise(part, truncation=truncation), keys)

    def images(self, networks, text: Text | None, noise) -> tuple[np.ndarray, ...]:
        """uint8 images, a tuple over scales of [N, H, W, 3]."""
        return self._drawn(networks, text, noise, examined=False)[0]

    def examined(
        self, networks, text: Text | None, noise, names: Sequence[str]
    ) -> tuple[tuple[np.ndarray, ...], dict[str, np.ndarray]]:
        """The images, and what `GanRecipe.examine` finds beside them under these names.

        Raises ValueError for a name that the system does not have.
        """
        draw = functools.partial(self._draw, examined=True)
        _, known = jax.eval_shape(draw, networks, text, noise)
        self._check_extras(networks, names, known, "this system has none")
        images, found = self._drawn(networks, text, noise, examined=True)
        return images, {name: found[name] for name in names}

    def given(
        self, networks, text: Text | None, images: np.ndarray, names: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """What `GanRecipe.examine` finds in images that were not drawn, uint8 [N, size, size, 3].

        Raises ValueError for a name that the system does not have for such images.
        """
        known = jax.eval_shape(self._examine, networks, text, images)
        none = "this system has none of images that it did not draw"
        self._check_extras(networks, names, known, none)
        found = self._in_batches(lambda part: self._examine(networks, *part), (text, images))
        return {name: found[name] for name in names}

    def _drawn(self, networks, text, noise, examined: bool):
        return self._in_batches(
            lambda part: self._draw(networks, *part, examined=examined), (text, noise)
        )

    def _in_batches(self, function: Callable[[Any], Any], tree: Any) -> Any:
        return in_batches(lambda part: function(self._spread.rows(part)), tree, self.batch_size)

    def _check_extras(self, networks, names, known, none: str) -> None:
        if any(player not in networks["params"] for player in self.recipe.kept):
            none = "the run lacks the discriminator that shows it: import it with --discriminator"
        for name in names:
            if name not in known:
                hint = suggest(name, known) if known else f"; {none}"
                raise ValueError(f"extras: no {name!r}{hint}")

    def scales(self, networks, text: Text | None, noise) -> tuple[int, ...]:
        """Widths in pixels of what `images` would return, low to high; draws nothing."""
        draw = functools.partial(self._draw, examined=False)
        images, _ = jax.eval_shape(draw, networks, text, noise)
        return tuple(x.shape[2] for x in images)


def text_inputs(tokenizer: Tokenizer, captions: Sequence[str]) -> dict[str, np.ndarray]:
    """A batch with the captions' tokens and mask, [N, 1, T] each."""
    ids, mask = tokenizer.encode(captions)
    return {TOKENS: ids[:, None], MASK: mask[:, None]}


def sentence_inputs(vectors: np.ndarray) -> dict[str, np.ndarray]:
    """A batch with precomputed sentence vectors [N, E]."""
    return {SENTENCE: np.asarray(vectors, np.float32)}


def caption_problems(tokenizer: Tokenizer, caption: str) -> list[str]:
    """What of a caption a tokenizer does not read, in words; nothing where it reads all.

    Raises ValueError where it reads nothing.
    """
    if not caption.strip():
        raise ValueError("an empty caption: give one that says what to draw")
    shown = repr(caption if len(caption) <= 60 else f"{caption[:57]}...")
    parts = "characters" if tokenizer.name == "char" else "words"
    try:
        caption.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"caption {shown}: half a character at place {error.start}") from None
    if not read_back(tokenizer, [caption])[0]:
        raise ValueError(
            f"caption {shown}: the run's tokenizer ({tokenizer.name}) knows none of its {parts}"
        )
    problems, count = [], tokenizer.count(caption)
    if unknown := tokenizer.unknown(caption):
        listed = ", ".join(map(repr, unknown))
        read = tokenizer.decode(tokenizer.encode([caption])[0])[0]
        problems.append(f"caption {shown}: unknown {parts} {listed}; it is read as {read!r}")
    if count > tokenizer.length:
        limit = f"only the first {tokenizer.length} are read"
        problems.append(f"caption {shown}: {count} tokens long; {limit}")
    return problems
