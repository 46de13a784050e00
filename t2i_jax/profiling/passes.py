"""Whether a step runs any network more often than its algorithm asks, in FLOPs and in calls.

A recipe's functions are the algorithm: one `generate`, each of D's updates, one set of G's terms.
They are compiled here one at a time, alone and with the gradient that the step takes of them; the
whole compiled step must not cost more than their sum. All of it works on shapes: nothing is run.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from t2i_jax import keys, types
from t2i_jax.profiling.step_time import Workload, shapes_of
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.regularizers import PENALTIES
from t2i_jax.recipes.terms import Seen
from t2i_jax.training.inputs import with_float_images
from t2i_jax.training.state import networks_of
from t2i_jax.training.step import init_state, make_step

# What the gradient of a network costs, in forward passes, the forward pass included. With respect
# to parameters and inputs, every product of the forward pass has two of its size in the backward
# pass; with respect to inputs alone, one.
_TRAINED, _SEEN_THROUGH, _FORWARD = 3, 2, 1


@dataclasses.dataclass(frozen=True)
class Part:
    """One piece of the algorithm.

    function: ``(x, *rest) -> (scalar, anything)``, or any function where `passes` is 1 or `pulled`
      is given.
    times: how often a step has it.
    passes: the step differentiates it with respect to x (3: x are parameters, 2: x are what the
      parameters of others made) or does not (1).
    pulled: what the step makes of the function, where that is more than its gradient.
    """

    name: str
    function: Callable
    args: tuple
    times: int = 1
    passes: int = _FORWARD
    pulled: Callable | None = None

    @property
    def used(self) -> Callable:
        """What the step makes of the function."""
        if self.pulled is not None or self.passes == _FORWARD:
            return self.pulled or self.function
        return jax.grad(self.function, has_aux=True, allow_int=True)


def step_flops(work: Workload) -> dict[str, Any]:
    """FLOPs of one compiled step against those of the passes that the algorithm needs.

    Plain JSON: ``step``; ``needed``, the sum over ``parts``, each compiled by itself; ``ratio`` of
    the two; ``by_rule``, from forward passes alone (3 for what is trained, 2 for what is seen
    through), None with gradient penalties, for which there is no rule; ``parts``, a list of name,
    times a step, FLOPs of ``forward`` and of what is ``used``; ``runs``: for every network the
    forward passes over a batch as the step is traced, and as its parts are. All for the global
    batch on one device. XLA counts additions and multiplications of the optimized program, at image
    borders only those with pixels, in loops those of one round.
    """
    recipe, options, frozen = work.system.recipe, work.options, shapes_of(work.system.variables)
    state = jax.eval_shape(
        lambda f, b: init_state(recipe, options, b, f), frozen, shapes_of(work.batch)
    )
    frozen = work.system.in_step(frozen)
    stacked = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((options.d_steps, *x.shape), x.dtype), shapes_of(work.batch)
    )
    parts = list(_parts(work, state, frozen))
    rows, needed_runs, listed = work.data.batch, Counter(), []
    for part in parts:
        for network, count in forward_runs(part.function, *part.args, rows=rows).items():
            needed_runs[network] += part.times * count
        listed.append(
            {
                "name": part.name,
                "times": part.times,
                "passes": part.passes,
                "forward": _flops(part.function, *part.args),
                "used": _flops(part.used, *part.args),
            }
        )
    step = make_step(recipe, options)
    step_runs = forward_runs(step, state, stacked, frozen, rows=rows)
    flops = _flops(step, state, stacked, frozen)
    needed = sum(p["times"] * p["used"] for p in listed)
    by_rule = sum(p["times"] * p["passes"] * p["forward"] for p in listed)
    penalized = any(recipe.on(f"d.{name}") for name in PENALTIES)
    return {
        "step": flops,
        "needed": needed,
        "ratio": flops / needed,
        "by_rule": None if penalized else by_rule,
        "parts": listed,
        "runs": {
            network: {"step": step_runs[network], "needed": needed_runs[network]}
            for network in sorted(step_runs | needed_runs)
        },
    }


def forward_runs(function: Callable, *args, rows: int) -> Counter:
    """How often tracing `function` calls each network, in passes over a batch of `rows`.

    A network is named by its class, and by its method where that is not ``__call__``.
    """
    runs: Counter = Counter()
    inside = False

    def count(call, call_args, call_kwargs, context):
        nonlocal inside
        if inside or context.module.path or context.method_name == "setup":
            return call(*call_args, **call_kwargs)
        method = "" if context.method_name == "__call__" else f".{context.method_name}"
        given = jax.tree.leaves((call_args, call_kwargs))
        first = next((x for x in given if jnp.ndim(x)), None)
        name = f"{type(context.module).__name__}{method}"
        runs[name] += 1 if first is None else first.shape[0] / rows
        inside = True
        try:
            return call(*call_args, **call_kwargs)
        finally:
            inside = False

    with nn.intercept_methods(count):
        # A function of its own, or jax answers with a trace that it has kept.
        jax.eval_shape(lambda *a: function(*a), *args)
    return runs


def _flops(function: Callable, *args) -> float:
    cost = jax.jit(function).lower(*args).compile().cost_analysis()
    if cost is None:
        raise ValueError(f"the backend {jax.default_backend()!r} does not count FLOPs")
    return cost.get("flops", 0.0)


def _parts(work: Workload, state, frozen):
    step, options = make_step(work.system.recipe, work.options), work.options
    batch = jax.eval_shape(with_float_images, shapes_of(work.batch))
    texts = {}
    for name, key, wrong in (
        ("text", types.TOKENS, False),
        ("text of mismatched captions", types.WRONG_TOKENS, True),
    ):
        read = functools.partial(step.read, wrong=wrong)
        texts[wrong] = jax.eval_shape(read, state.params, batch, frozen)
        apart = wrong or not options.joint  # else encoding is a part of G's pass
        if key in batch and texts[wrong] is not None and apart:
            yield Part(name, read, (state.params, batch, frozen), options.d_steps)
    seen = Seen(batch, texts[False], texts[True], frozen)
    key = jax.eval_shape(lambda: keys.from_seed(0))
    if isinstance(work.system.recipe, GanRecipe):
        yield from _gan_parts(work, step, state, seen, key)
    else:
        args = state.params["net"], state.stats["net"], seen, key
        yield Part("net", step.loss, args, passes=_TRAINED)
    yield Part("optimizers and average", _updates(work, step), (state, state.params))


def _gan_parts(work: Workload, step, state, seen: Seen, key):
    recipe, options = work.system.recipe, work.options

    def draw(key):
        return recipe.noise(key, work.data.batch)

    def generate(params, stats, seen, noise):
        if options.joint:
            return step.generate(params, stats, seen.batch, seen.frozen, noise)
        variables = {"params": params["g"], **stats}
        out, moved = recipe.make(variables, seen, noise)
        return (out, None), moved

    def pulled(params, cotangent, *rest):
        made, moved = generate(params, *rest)
        products = jax.tree.map(lambda x, c: jnp.vdot(x, c), made, cotangent)
        return sum(jax.tree.leaves(products)), (made, moved)

    params = {name: state.params[name] for name in networks_of("g", state.params)}
    noise = jax.eval_shape(draw, key)
    yield Part("noise", draw, (key,), options.d_steps)
    rest = state.stats["g"], seen, noise
    made, _ = jax.eval_shape(generate, params, *rest)
    if options.d_steps > 1:
        yield Part("G, for D alone", generate, (params, *rest), options.d_steps - 1)
    yield Part("G", pulled, (params, made, *rest), passes=_TRAINED)

    made, d = (made[0], seen.text), (state.params["d"], state.stats["d"])
    shared = options.order == "simultaneous"
    for i, terms_of in enumerate(recipe.d_updates):
        d_loss = functools.partial(step.d_loss, terms_of=terms_of)
        args = *d, seen, made[0], key
        if not jax.eval_shape(d_loss, *args)[1].losses:
            continue
        times = options.d_steps - (shared and i == 0)
        if times:
            yield Part(f"D: {terms_of.__name__}", d_loss, args, times, _TRAINED)
    if shared:
        args = d[0], made, d[1], seen, key
        name = "D's first terms and G's, of one D"
        yield Part(name, step.both_losses, args, 1, _TRAINED, _both_pulled(step))
    else:
        name, args = "G's terms, through D and frozen networks", (made, *d, seen, key)
        yield Part(name, step.g_loss, args, passes=_SEEN_THROUGH)


def _both_pulled(step) -> Callable:
    """Gradients of D's total by its parameters and of G's by what G made."""

    def pulled(d_params, made, *rest):
        totals, pull, terms = jax.vjp(
            lambda *x: step.both_losses(*x, *rest), d_params, made, has_aux=True
        )
        one, zero = jnp.ones(()), jnp.zeros(())
        return pull((one, zero))[0], pull((zero, one))[1], totals, terms

    return pulled


def _updates(work: Workload, step) -> Callable:
    """All of a step's optimizer updates, from gradients as large as the parameters."""
    recipe, options = work.system.recipe, work.options
    counts = dict.fromkeys(recipe.players, 1)
    if "d" in counts:
        counts["d"] = options.d_steps * len(recipe.d_updates)

    def update(state, grads):
        params, rest = state.params, []
        for player, count in counts.items():
            opt = state.opt[player]
            own = {name: grads[name] for name in networks_of(player, params)}
            for _ in range(count):
                new, opt = step.update(player, params, opt, own, state.step)
                params = {**params, **new}
                rest.append(optax.tree.norm(own))
            rest.append(opt)
        return params, rest, options.ema.update(state.ema, params, state.stats, state.step)

    return update
