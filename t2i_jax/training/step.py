"""One step of training, written once for every recipe, every device layout and both numbers of
players.

A step's G generates once, under `jax.vjp`; D is updated on constants; the gradient of G's terms
with respect to the images is pulled back through the same forward pass. This equals "generate,
update D, push the same fakes through the updated D" exactly, and saves a forward pass of G.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from t2i_jax import axis, types
from t2i_jax.recipes.base import EncoderRecipe, GanRecipe, check_terms, local_rows
from t2i_jax.training.optimizers import Schedule
from t2i_jax.training.state import (
    TrainState,
    init_ema,
    networks_of,
    restart_from_ema,
    update_ema,
)
from t2i_jax.types import Text

Metrics = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepOptions:
    """What the step needs beside the recipe.

    weights: by ``"<player>.<term>"``; zeros are left out. directions, schedules: by player.
    encoder: the text encoder, or None where batches bring sentence vectors or no text.
    joint: the encoder is trained with G; else its variables are ``frozen["encoder"]``.
    ema_restart: steps after which G goes on from its average, see `restart_from_ema`; 0: never.
    """

    weights: Mapping[str, float]
    directions: Mapping[str, optax.GradientTransformation]
    schedules: Mapping[str, Schedule]
    encoder: nn.Module | None = None
    joint: bool = False
    order: str = "alternating"
    d_steps: int = 1
    ema_decay: float = 0.0
    ema_restart: int = 0
    seed: int = 0


def to_float(images: jax.Array) -> jax.Array:
    """uint8 0..255 -> float32 in [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1.0


def encode(module: nn.Module | None, variables, batch: Mapping[str, Any], wrong: bool = False):
    """The batch's captions as a Text; K captions a row are averaged. None where it has none."""
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


def prepare(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The host batch with its images normalised; a key that it lacks is a clear error."""
    images = {k: to_float(v) for k, v in batch.items() if k in (types.IMAGES, types.WRONG_IMAGES)}
    return _StepBatch({**batch, **images})


class _StepBatch(dict):
    """A batch whose missing keys are told as what the data section lacks."""

    def __missing__(self, key: str):
        remedy = _REMEDIES.get(key, f"the pipeline gives {sorted(self)}")
        raise ValueError(f"the recipe needs batch[{key!r}], which the data do not give: {remedy}")


_REMEDIES = {
    types.WRONG_IMAGES: "set data.mismatch=image",
    types.WRONG_TEXT: "set data.mismatch=caption, and an encoder or stored embeddings",
    types.TOKENS: "set data.captions and a tokenizer",
}


def init_state(recipe, options: StepOptions, batch: Mapping[str, Any], frozen) -> TrainState:
    """A fresh state. `batch` is one example batch without the leading axis of sub-batches."""
    key = jax.random.key(options.seed)
    batch = prepare(batch)
    params: dict[str, Any] = {}
    encoder_vars = frozen.get("encoder")
    if options.joint:
        tokens, mask = batch[types.TOKENS][:, 0], batch[types.MASK][:, 0]
        encoder_vars = options.encoder.init(jax.random.fold_in(key, 1), tokens, mask)
        if "encoder_start" in frozen:
            encoder_vars = jax.tree.map(jnp.copy, frozen["encoder_start"])
    text = encode(options.encoder, encoder_vars, batch)
    variables = recipe.start(recipe.init(jax.random.fold_in(key, 0), batch, text), frozen)
    stats = {}
    for player in recipe.players:
        player_vars = dict(variables[player])
        params[player] = player_vars.pop("params")
        stats[player] = player_vars
    if options.joint:
        params["encoder"] = encoder_vars["params"]
    opt = {
        player: options.directions[player].init({n: params[n] for n in networks_of(player, params)})
        for player in recipe.players
    }
    ema = init_ema(params, stats)
    return TrainState(jnp.zeros([], jnp.int32), params, stats, opt, ema)


def make_step(recipe, options: StepOptions, axis_name: str | None = None):
    """``step(state, batch, frozen) -> (state, metrics)``, a pure function to be jitted or pmapped.

    Leaves of `batch` are ``[d_steps, B, ...]``. Metrics are float32 scalars named
    ``"<player>/<term>"``. Raises ValueError while tracing where the recipe's terms are not the
    config's.
    """
    recipe = recipe.bind(axis_name)
    one = _gan_step if isinstance(recipe, GanRecipe) else _encoder_step
    if not isinstance(recipe, GanRecipe | EncoderRecipe):
        raise TypeError(f"{type(recipe).__name__} is neither a GanRecipe nor an EncoderRecipe")

    def step(state: TrainState, batch, frozen) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(options.seed), state.step + 1)
        subs = [prepare(jax.tree.map(lambda x, i=i: x[i], batch)) for i in range(options.d_steps)]
        state, metrics = one(_Context(recipe, options, axis_name), state, subs, frozen, key)
        ema = update_ema(state.ema, state.params, state.stats, options.ema_decay)
        metrics = axis.mean({k: v.astype(jnp.float32) for k, v in metrics.items()}, axis_name)
        state = state.replace(step=state.step + 1, ema=ema)
        if options.ema_restart:
            state = restart_from_ema(state, options.ema_restart)
        return state, metrics

    return step


@dataclasses.dataclass(frozen=True)
class _Context:
    recipe: Any
    options: StepOptions
    axis_name: str | None

    def total(self, player: str, terms: Mapping[str, jax.Array]) -> jax.Array:
        """The weighted sum, in float32. A term without a weight is `check`'s to report."""
        weights = self.options.weights
        total = jnp.zeros([], jnp.float32)
        for name, value in terms.items():
            total += weights.get(f"{player}.{name}", 0.0) * value.astype(jnp.float32)
        return total

    def check(self, player: str, terms) -> None:
        check_terms(player, terms, frozenset(self.options.weights))

    def apply_gradients(
        self, player: str, state: TrainState, grads: dict
    ) -> tuple[TrainState, Any]:
        """One optimizer update of a player's networks; also returns the gradients' global norm."""
        grads = axis.mean(grads, self.axis_name)
        old = {name: state.params[name] for name in grads}
        direction, opt = self.options.directions[player].update(grads, state.opt[player], old)
        lr = self.options.schedules[player](state.step)
        new = jax.tree.map(lambda p, u: p - lr * u, old, direction)
        state = state.replace(params={**state.params, **new}, opt={**state.opt, player: opt})
        return state, optax.tree.norm(grads)

    def variables(self, state: TrainState, player: str) -> dict:
        return {"params": state.params[player], **state.stats[player]}


def _named(player: str, terms: Mapping[str, jax.Array]) -> Metrics:
    return {f"{player}/{name}": value for name, value in terms.items()}


def _update_d(ctx: _Context, state: TrainState, batch, text, out, key):
    """All of D's updates on one sub-batch: (state, metrics)."""
    seen, metrics = {}, {}
    for i, terms_of in enumerate(ctx.recipe.d_updates):

        def loss(params, terms_of=terms_of, i=i, state=state):
            variables = {"params": params["d"], **state.stats["d"]}
            terms, new_stats = terms_of(variables, batch, text, out, jax.random.fold_in(key, i))
            return ctx.total("d", terms), (terms, new_stats)

        grads, (terms, new_stats) = jax.grad(loss, has_aux=True)({"d": state.params["d"]})
        state = state.replace(stats={**state.stats, "d": {**state.stats["d"], **new_stats}})
        state, norm = ctx.apply_gradients("d", state, grads)
        seen |= terms
        metrics |= {"d/grad_norm" if i == 0 else f"d/grad_norm_{i}": norm}
    ctx.check("d", seen)
    return state, {**_named("d", seen), "d/total": ctx.total("d", seen), **metrics}


def _gan_step(ctx: _Context, state: TrainState, subs, frozen, key):
    recipe, options = ctx.recipe, ctx.options

    def texts(params, batch):
        variables = {"params": params["encoder"]} if options.joint else frozen.get("encoder")
        return encode(options.encoder, variables, batch)

    def with_wrong(batch):
        variables = {"params": state.params["encoder"]} if options.joint else frozen.get("encoder")
        wrong = encode(options.encoder, variables, batch, wrong=True)
        return batch if wrong is None else _StepBatch({**batch, types.WRONG_TEXT: wrong})

    def forward(params, batch, noise):
        text = texts(params, batch)
        variables = {"params": params["g"], **state.stats["g"]}
        out, g_stats = recipe.generate(variables, batch, text, noise, train=True)
        return (out, text), g_stats

    g_networks = {name: state.params[name] for name in networks_of("g", state.params)}
    # All sub-batches but the last update D alone; G's new statistics are then thrown away.
    for i, sub in enumerate(subs[:-1]):
        sub = with_wrong(sub)
        noise_key, d_key = jax.random.split(jax.random.fold_in(key, i))
        noise = recipe.noise(noise_key, local_rows(sub))
        (out, text), _ = forward(g_networks, sub, noise)
        state, _ = _update_d(ctx, state, sub, text, out, d_key)

    batch = with_wrong(subs[-1])
    noise_key, d_key, g_key = jax.random.split(jax.random.fold_in(key, len(subs) - 1), 3)
    noise = recipe.noise(noise_key, local_rows(batch))
    (out, text), pull, g_stats = jax.vjp(
        lambda params: forward(params, batch, noise), g_networks, has_aux=True
    )
    before = state
    state, metrics = _update_d(
        ctx, state, batch, lax.stop_gradient(text), lax.stop_gradient(out), d_key
    )
    judge = state if options.order == "alternating" else before

    def g_loss(out, sentence, words):
        seen_text = text and text._replace(sentence=sentence, words=words)
        terms, d_stats = recipe.g_terms(
            ctx.variables(judge, "d"), frozen, batch, seen_text, out, g_key
        )
        return ctx.total("g", terms), (terms, d_stats)

    sentence, words = (text.sentence, text.words) if text else (None, None)
    (total, (terms, d_stats)), (ct_out, ct_sentence, ct_words) = jax.value_and_grad(
        g_loss, argnums=(0, 1, 2), has_aux=True
    )(out, sentence, words)
    ctx.check("g", terms)
    ct_text = text and jax.tree.map(_zero_cotangent, text)._replace(
        sentence=ct_sentence, words=ct_words
    )
    (grads,) = pull((ct_out, ct_text))
    d_stats = {**state.stats["d"], **(d_stats if options.order == "alternating" else {})}
    state = state.replace(stats={**state.stats, "g": {**state.stats["g"], **g_stats}, "d": d_stats})
    state, norm = ctx.apply_gradients("g", state, grads)
    return state, {**metrics, **_named("g", terms), "g/total": total, "g/grad_norm": norm}


def _zero_cotangent(x: jax.Array):
    """The cotangent of a value that no term differentiates, such as a mask."""
    if jnp.issubdtype(x.dtype, jnp.floating):
        return jnp.zeros_like(x)
    return np.zeros(x.shape, jax.dtypes.float0)


def _encoder_step(ctx: _Context, state: TrainState, subs, frozen, key):
    (batch,) = subs
    text = encode(ctx.options.encoder, frozen.get("encoder"), batch)

    def loss(params):
        variables = {"params": params["net"], **state.stats["net"]}
        terms, extra, new_stats = ctx.recipe.terms(variables, frozen, batch, text, key)
        return ctx.total("net", terms), (terms, extra, new_stats)

    (total, (terms, extra, new_stats)), grads = jax.value_and_grad(loss, has_aux=True)(
        {"net": state.params["net"]}
    )
    ctx.check("net", terms)
    state = state.replace(stats={"net": {**state.stats["net"], **new_stats}})
    state, norm = ctx.apply_gradients("net", state, grads)
    named = {**_named("net", terms), **_named("net", extra)}
    return state, {**named, "net/total": total, "net/grad_norm": norm}
