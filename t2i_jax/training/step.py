"""One step of training, written once for every recipe and every layout of devices.

In a step of a GAN, G generates once, under `jax.vjp`; D is updated on these images as constants;
then the gradient of G's terms with respect to the images is pulled back through the same forward
pass of G. This is the same as "generate, update D, push the same images through the updated D", and
it saves a forward pass of G.

The pieces of a step (`Step.generate`, `Step.d_loss`, `Step.g_loss`, ...) are pure functions of
their own, which `t2i_jax.profiling.passes` costs one by one.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax

from t2i_jax import axis, in_order, keys, types
from t2i_jax.recipes.base import EncoderRecipe, GanRecipe
from t2i_jax.recipes.terms import Seen, Terms, check_terms, local_rows
from t2i_jax.training import parameter_groups
from t2i_jax.training.fresh import Fresh
from t2i_jax.training.inputs import encode, with_float_images
from t2i_jax.training.optimizers import Schedule
from t2i_jax.training.recomputed import recomputing
from t2i_jax.training.state import Ema, TrainState, networks_of
from t2i_jax.types import Text

Metrics = dict[str, jax.Array]
Params = Mapping[str, Any]
Made = tuple[dict[str, Any], Text | None]  # G's output and the text that it was made from

ORDERS = ("alternating", "simultaneous")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepOptions:
    """What the step needs beside the recipe.

    weights: by ``"<player>.<term>"``; zeros are left out. directions, schedules: by player.
    groups: by player, see `parameter_groups.grouped`.
    encoder: the text encoder, or None where batches bring sentence vectors or no text.
    joint: the encoder is trained with G; else its variables are ``frozen["encoder"]``.
    order: "alternating" updates D first and lets the new D judge for G; "simultaneous" lets the old
        D judge for both.
    d_steps: updates of D in a step, each on a batch of its own.
    remat: what of G's forward pass is computed anew for its backward pass, see `recomputed`.
    """

    weights: Mapping[str, float]
    directions: Mapping[str, optax.GradientTransformation]
    schedules: Mapping[str, Schedule]
    groups: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    encoder: nn.Module | None = None
    joint: bool = False
    order: str = "alternating"
    d_steps: int = 1
    remat: str = "none"
    ema: Ema = Ema()
    seed: int = 0


def init_state(recipe, options: StepOptions, batch: Mapping[str, Any], frozen) -> TrainState:
    """A fresh state. `batch` is one example batch without the leading axis of sub-batches;
    ``frozen["encoder_start"]`` what a jointly trained encoder starts from, if anything.
    """
    key = keys.from_seed(options.seed)
    batch = with_float_images(batch)
    params: dict[str, Any] = {}
    encoder = None
    if options.joint:
        tokens, mask = batch[types.TOKENS][:, 0], batch[types.MASK][:, 0]
        encoder = options.encoder.init(jax.random.fold_in(key, 1), tokens, mask)
        if "encoder_start" in frozen:
            encoder = jax.tree.map(jnp.copy, frozen["encoder_start"])
    variables = encoder if options.joint else frozen.get("encoder")
    seen = Seen(batch, encode(options.encoder, variables, batch), None, frozen)
    recipe.check(seen)
    variables = recipe.init(jax.random.fold_in(key, 0), seen)
    stats = {}
    for player in recipe.players:
        player_vars = dict(variables[player])
        params[player] = player_vars.pop("params")
        stats[player] = player_vars
    if options.joint:
        params["encoder"] = encoder["params"]
    opt = {
        player: options.directions[player].init({n: params[n] for n in networks_of(player, params)})
        for player in recipe.players
    }
    ema = options.ema.init(params, stats)
    return TrainState(jnp.zeros([], jnp.int32), params, stats, opt, ema)


def fresh_state(recipe, options: StepOptions, batch: Mapping[str, Any], frozen) -> Fresh:
    """What `init_state` would make, its shapes before anything is drawn."""
    return Fresh(functools.partial(init_state, recipe, options), batch, frozen)


def make_step(recipe, options: StepOptions, axis_name: str | None = None):
    """``step(state, batch, frozen) -> (state, metrics)``, a pure function to be jitted or pmapped.

    Leaves of `batch` are ``[d_steps, B, ...]``. Metrics are float32 scalars named
    ``"<player>/<term>"``. Raises ValueError while tracing where the recipe's terms are not the
    config's.
    """
    kinds = {GanRecipe: GanStep, EncoderRecipe: EncoderStep}
    for kind, step in kinds.items():
        if isinstance(recipe, kind):
            return step(recipe.bind(axis_name), options, axis_name)
    raise TypeError(f"{type(recipe).__name__} is neither a GanRecipe nor an EncoderRecipe")


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """What the steps of GANs and of encoders share. Call it; see `make_step`."""

    __name__ = "step"  # of the compiled program

    recipe: Any
    options: StepOptions
    axis_name: str | None = None

    def __call__(self, state: TrainState, batch, frozen) -> tuple[TrainState, Metrics]:
        options = self.options
        key = jax.random.fold_in(keys.from_seed(options.seed), state.step + 1)
        subs = [
            with_float_images(jax.tree.map(lambda x, i=i: x[i], batch))
            for i in range(options.d_steps)
        ]
        state, metrics = self.run(state, subs, frozen, key)
        ema = options.ema.update(state.ema, state.params, state.stats, state.step)
        metrics = {k: v.astype(jnp.float32) for k, v in metrics.items()}
        state = options.ema.restart(state.replace(step=state.step + 1, ema=ema))
        return state, axis.mean(metrics, self.axis_name)

    def run(
        self, state: TrainState, subs: Sequence[dict], frozen, key: jax.Array
    ) -> tuple[TrainState, Metrics]:
        """The updates of all players; `subs` are the sub-batches with float images."""
        raise NotImplementedError

    def read(self, params: Params, batch, frozen, wrong: bool = False) -> Text | None:
        """The captions of a batch, or the mismatched ones, encoded. A jointly trained encoder is
        among the `params`.
        """
        joint = self.options.joint
        variables = {"params": params["encoder"]} if joint else frozen.get("encoder")
        return encode(self.options.encoder, variables, batch, wrong=wrong)

    def total(self, player: str, losses: Mapping[str, jax.Array]) -> jax.Array:
        """The weighted sum, in float32. A term without a weight is `check_terms`' to report."""
        weights = self.options.weights
        total = jnp.zeros([], jnp.float32)
        for name, value in losses.items():
            total += weights.get(f"{player}.{name}", 0.0) * value.astype(jnp.float32)
        return total

    def check(self, player: str, losses: Mapping[str, Any]) -> None:
        """See `check_terms`."""
        check_terms(player, losses, frozenset(self.options.weights))

    def update(
        self, player: str, params: Params, opt: Any, grads: Params, step: jax.Array
    ) -> tuple[dict, Any]:
        """One optimizer update of the player's networks in `grads`: (new parameters of these, new
        state of the optimizer).

        In stages, so that all of it is written in place of the old (see `in_order`): nothing else
        reads the old parameters once all gradients are there; the new parameters need the
        optimizer's old state, so that its new one comes after them.
        """
        optimizer = self.options.directions[player]
        old = {name: params[name] for name in grads}
        grads = in_order.together(grads)
        direction, _ = optimizer.update(grads, opt, old)
        lr = self.options.schedules[player](step)
        new = jax.tree.map(lambda p, u: p - lr * u, old, direction)
        new, grads, opt = in_order.together((new, grads, opt))
        return new, optimizer.update(grads, opt, old)[1]

    def apply_gradients(
        self, player: str, state: TrainState, grads: Params
    ) -> tuple[TrainState, jax.Array]:
        """The state after an update, and the global norm of the gradients. Those of frozen parts
        are left out: asking for them would have them computed.
        """
        grads = axis.mean(grads, self.axis_name)
        new, opt = self.update(player, state.params, state.opt[player], grads, state.step)
        trained = parameter_groups.trained(self.options.groups.get(player, {}), grads)
        # All of an update is done, and its gradients are gone, before the next one begins.
        new, opt, norm = in_order.together((new, opt, optax.tree.norm(trained)))
        params, opts = {**state.params, **new}, {**state.opt, player: opt}
        return state.replace(params=params, opt=opts), norm


def _variables(state: TrainState, player: str) -> dict:
    return {"params": state.params[player], **state.stats[player]}


def _with_stats(state: TrainState, player: str, moved: Mapping[str, Any]) -> TrainState:
    return state.replace(stats={**state.stats, player: {**state.stats[player], **moved}})


def _named(player: str, values: Mapping[str, jax.Array]) -> Metrics:
    return {f"{player}/{name}": value for name, value in values.items()}


class GanStep(Step):
    """Updates of D on `d_steps` sub-batches, then one of G on the last of them."""

    def run(self, state, subs, frozen, key):
        players = {name: state.params[name] for name in networks_of("g", state.params)}
        stats = state.stats["g"]
        # All sub-batches but the last update D alone; G's new statistics are then thrown away.
        for i, batch in enumerate(subs[:-1]):
            noise_key, d_key = jax.random.split(jax.random.fold_in(key, i))
            noise = self.recipe.noise(noise_key, local_rows(batch))
            made, _ = self.generate(players, stats, batch, frozen, noise)
            state, _ = self.update_d(state, self.see_made(state, batch, frozen, made), made, d_key)

        batch = subs[-1]
        noise_key, d_key, g_key = jax.random.split(jax.random.fold_in(key, len(subs) - 1), 3)
        noise = self.recipe.noise(noise_key, local_rows(batch))
        made, pull, g_stats = jax.vjp(
            recomputing(
                lambda params: self.generate(params, stats, batch, frozen, noise),
                self.options.remat,
            ),
            players,
            has_aux=True,
        )
        seen = self.see_made(state, batch, frozen, made)
        if self.options.order == "alternating":
            state, metrics, cotangent = self.alternate(state, seen, made, d_key, g_key)
        else:
            state, metrics, cotangent = self.simultaneous(state, seen, made, d_key)
        (grads,) = pull(cotangent)
        state, norm = self.apply_gradients("g", _with_stats(state, "g", g_stats), grads)
        return state, {**metrics, "g/grad_norm": norm}

    def see_made(self, state: TrainState, batch, frozen, made: Made) -> Seen:
        """What D's terms see, the text of `made` included, all of it constant."""
        wrong = self.read(state.params, batch, frozen, wrong=True)
        return Seen(batch, *lax.stop_gradient((made[1], wrong)), frozen)

    def generate(self, params: Params, stats, batch, frozen, noise) -> tuple[Made, dict]:
        """G's forward pass from the parameters of its networks: ``((out, text), new state)``."""
        text = self.read(params, batch, frozen)
        seen = Seen(batch, text, None, frozen)
        out, moved = self.recipe.make({"params": params["g"], **stats}, seen, noise)
        return (out, text), moved

    def d_loss(
        self, params, stats, seen: Seen, out, key, terms_of: Callable[..., Terms]
    ) -> tuple[jax.Array, Terms]:
        """The weighted sum of one of D's updates, from D's parameters."""
        terms = terms_of({"params": params, **stats}, seen, out, key)
        return self.total("d", terms.losses), terms

    def g_loss(
        self, made: Made, params, stats, seen: Seen, key, fakes: Any = None
    ) -> tuple[jax.Array, Terms]:
        """The weighted sum of G's terms, from what G made and the text that it made it from."""
        out, text = made
        seen = seen._replace(text=text)
        terms = self.recipe.g_update({"params": params, **stats}, seen, out, key, fakes=fakes)
        return self.total("g", terms.losses), terms

    def both_losses(self, d_params, made: Made, d_stats, seen: Seen, key):
        """The totals of D's first update and of G, from one pass of the same D over the fakes, and
        the terms of both. One key, so that both see the same augmentation.
        """
        (out, text), terms_of = made, self.recipe.d_updates[0]
        d_seen = seen._replace(text=text)
        d_total, d = self.d_loss(d_params, d_stats, d_seen, out, key, terms_of)
        g_total, g = self.g_loss(made, d_params, d_stats, seen, key, d.fakes)
        return (d_total, g_total), (d, g)

    def update_d(
        self, state: TrainState, seen: Seen, made: Made, key, first: tuple | None = None
    ) -> tuple[TrainState, Metrics]:
        """All of D's updates on one sub-batch. An update without losses is skipped.

        first: the gradient and the terms of the first update, where they are known already.
        """
        losses, metrics = {}, {}
        out = lax.stop_gradient(made[0])
        for i, terms_of in enumerate(self.recipe.d_updates):
            if i == 0 and first is not None:
                grads, terms = first
            else:
                grads, terms = jax.grad(self.d_loss, has_aux=True)(
                    state.params["d"],
                    state.stats["d"],
                    seen,
                    out,
                    jax.random.fold_in(key, i),
                    terms_of,
                )
            state = _with_stats(state, "d", terms.state)
            losses |= terms.losses
            metrics |= terms.metrics
            if terms.losses:
                state, norm = self.apply_gradients("d", state, {"d": grads})
                metrics["grad_norm" if i == 0 else f"grad_norm_{i}"] = norm
        self.check("d", losses)
        return state, _named("d", {**losses, "total": self.total("d", losses), **metrics})

    def alternate(self, state: TrainState, seen: Seen, made: Made, d_key, g_key):
        """D's updates, then G's terms under the new D: ``(state, metrics, cotangent of made)``."""
        state, metrics = self.update_d(state, seen, made, d_key)
        d = state.params["d"], state.stats["d"]
        (total, terms), cotangent = jax.value_and_grad(self.g_loss, has_aux=True, allow_int=True)(
            made, *d, seen, g_key
        )
        state = _with_stats(state, "d", terms.state)
        return state, {**metrics, **self.g_metrics(total, terms)}, cotangent

    def simultaneous(self, state: TrainState, seen: Seen, made: Made, d_key):
        """Both players' terms under the same D, which looks at the fakes once, then D's updates.

        Returns as `alternate`. The first of D's updates shares the pass; what G's terms alone would
        move in D's statistics is left out, since G's terms are not the later ones here.
        """
        first_key = jax.random.fold_in(d_key, 0)
        (_, g_total), pull, (d, g) = jax.vjp(
            lambda params, made: self.both_losses(params, made, state.stats["d"], seen, first_key),
            state.params["d"],
            made,
            has_aux=True,
        )
        one, zero = jnp.ones([], jnp.float32), jnp.zeros([], jnp.float32)
        d_grads, _ = pull((one, zero))
        _, cotangent = pull((zero, one))
        state, metrics = self.update_d(state, seen, made, d_key, first=(d_grads, d))
        return state, {**metrics, **self.g_metrics(g_total, g)}, cotangent

    def g_metrics(self, total: jax.Array, terms: Terms) -> Metrics:
        """What is logged of G's terms; refuses terms that are not the weighted ones."""
        self.check("g", terms.losses)
        return _named("g", {**terms.losses, "total": total, **terms.metrics})


class EncoderStep(Step):
    """One update of one network."""

    def loss(self, params, stats, seen: Seen, key) -> tuple[jax.Array, Terms]:
        """The weighted sum of the network's terms."""
        terms = self.recipe.terms({"params": params, **stats}, seen, key)
        return self.total("net", terms.losses), terms

    def run(self, state, subs, frozen, key):
        (batch,) = subs
        text = self.read(state.params, batch, frozen)
        seen = Seen(batch, text, self.read(state.params, batch, frozen, wrong=True), frozen)
        (total, terms), grads = jax.value_and_grad(self.loss, has_aux=True)(
            state.params["net"], state.stats["net"], seen, key
        )
        self.check("net", terms.losses)
        state = _with_stats(state, "net", terms.state)
        state, norm = self.apply_gradients("net", state, {"net": grads})
        named = _named("net", {**terms.losses, **terms.metrics})
        return state, {**named, "net/total": total, "net/grad_norm": norm}
