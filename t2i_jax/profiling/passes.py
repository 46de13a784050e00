"""Whether a step runs any network more often than its algorithm asks, in FLOPs and in calls.

A recipe's functions are the algorithm: one `generate`, each of D's updates, one set of G's terms.
They are compiled here one at a time, alone and with the gradient that the step takes of them; the
whole compiled step must not cost more than their sum. All of it works on shapes: nothing is run.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from t2i_jax import types
from t2i_jax.profiling.step_time import Workload
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.training.state import networks_of, update_ema
from t2i_jax.training.step import encode, init_state, make_step, prepare

# What the gradient of a network costs, in forward passes, the forward pass included. With respect
# to parameters and inputs, every product of the forward pass has two of its size in the backward
# pass; with respect to inputs alone, one.
_TRAINED, _SEEN_THROUGH, _FORWARD = 3, 2, 1


@dataclasses.dataclass(frozen=True)
class Part:
    """One piece of the algorithm.

    function: ``(x, *rest) -> (scalar, anything)``, or any function where `passes` is 1.
    times: how often a step has it.
    passes: the step differentiates it with respect to x (3: x are parameters, 2: x are what the
      parameters of others made) or does not (1).
    """

    name: str
    function: Callable
    args: tuple
    times: int = 1
    passes: int = _FORWARD

    @property
    def used(self) -> Callable:
        """What the step makes of the function."""
        differentiated = self.passes != _FORWARD
        return jax.grad(self.function, has_aux=True) if differentiated else self.function


def step_flops(work: Workload) -> dict[str, Any]:
    """FLOPs of one compiled step against those of the passes that the algorithm needs.

    Plain JSON: ``step``; ``needed``, the sum over ``parts``, each compiled by itself; ``ratio`` of
    the two; ``by_rule``, from forward passes alone (3 for what is trained, 2 for what is seen
    through); ``parts``, a list of name, times a step, FLOPs of ``forward`` and of what is ``used``;
    ``runs``: for every network the forward passes over a batch as the step is traced, and as its
    parts are. All for the global batch on one device. XLA counts additions and multiplications of
    the optimized program, at image borders only those with pixels, in loops those of one round.
    """
    recipe, options, frozen = work.system.recipe, work.options, _shapes(work.system.frozen)
    state = jax.eval_shape(
        lambda f, b: init_state(recipe, options, b, f), frozen, _shapes(work.batch)
    )
    frozen = {name: x for name, x in frozen.items() if name != "encoder_start"}
    stacked = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((options.d_steps, *x.shape), x.dtype), _shapes(work.batch)
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
    return {
        "step": flops,
        "needed": needed,
        "ratio": flops / needed,
        "by_rule": sum(p["times"] * p["passes"] * p["forward"] for p in listed),
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


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


def _flops(function: Callable, *args) -> float:
    cost = jax.jit(function).lower(*args).compile().cost_analysis()
    if cost is None:
        raise ValueError(f"the backend {jax.default_backend()!r} does not count FLOPs")
    return cost.get("flops", 0.0)


def _parts(work: Workload, state, frozen):
    options, key = work.options, jax.random.key(0)
    batch = jax.eval_shape(lambda b: dict(prepare(b)), _shapes(work.batch))
    encoder = frozen.get("encoder")
    if options.joint:
        encoder = {"params": state.params["encoder"]}

    def read(variables, batch, wrong: bool):
        return encode(options.encoder, variables, batch, wrong)

    wrong = jax.eval_shape(lambda v, b: read(v, b, True), encoder, batch)
    if types.WRONG_TOKENS in batch and wrong is not None:
        function = lambda v, b: read(v, b, True)  # noqa: E731
        yield Part("text of mismatched captions", function, (encoder, batch), options.d_steps)
    text = jax.eval_shape(lambda v, b: read(v, b, False), encoder, batch)
    if types.TOKENS in batch and text is not None and not options.joint:
        function = lambda v, b: read(v, b, False)  # noqa: E731
        yield Part("text", function, (encoder, batch), options.d_steps)
    if isinstance(work.system.recipe, GanRecipe):
        batch = batch if wrong is None else {**batch, types.WRONG_TEXT: wrong}
        yield from _gan_parts(work, state, frozen, batch, text, key)
    else:
        yield _net_part(work, state, frozen, batch, text, key)
    yield Part("optimizers and average", _updates(work, state), (state, state.params))


def _total(options, player: str, terms: Mapping[str, jax.Array]) -> jax.Array:
    weights = options.weights
    return sum((weights[f"{player}.{k}"] * v for k, v in terms.items()), jnp.zeros(()))


def _gan_parts(work: Workload, state, frozen, batch, text, key):
    recipe, options = work.system.recipe, work.options
    rows = work.data.batch

    def draw(key):
        return recipe.noise(key, rows)

    def generate(params, stats, batch, text, noise):
        if options.joint:
            text = encode(options.encoder, {"params": params["encoder"]}, batch)
        variables = {"params": params["g"], **stats}
        out, stats = recipe.generate(variables, batch, text, noise, train=True)
        return (out, (text.sentence, text.words) if options.joint else ()), stats

    def pulled(params, cotangent, *rest):
        made, stats = generate(params, *rest)
        products = jax.tree.map(lambda x, c: jnp.vdot(x, c), made, cotangent)
        return sum(jax.tree.leaves(products)), (made, stats)

    params = {name: state.params[name] for name in networks_of("g", state.params)}
    noise = jax.eval_shape(draw, key)
    yield Part("noise", draw, (key,), options.d_steps)
    rest = state.stats["g"], batch, text, noise
    made, _ = jax.eval_shape(generate, params, *rest)
    out = made[0]
    if options.d_steps > 1:
        yield Part("G, for D alone", generate, (params, *rest), options.d_steps - 1)
    yield Part("G", pulled, (params, made, *rest), passes=_TRAINED)

    for terms_of in recipe.d_updates:

        def d_loss(params, stats, batch, text, out, key, terms_of=terms_of):
            terms, stats = terms_of({"params": params, **stats}, batch, text, out, key)
            return _total(options, "d", terms), (terms, stats)

        args = state.params["d"], state.stats["d"], batch, text, out, key
        yield Part(f"D: {terms_of.__name__}", d_loss, args, options.d_steps, _TRAINED)

    def g_loss(seen, params, stats, frozen, batch, text, key):
        out, sentence, words = seen
        text = text and text._replace(sentence=sentence, words=words)
        variables = {"params": params, **stats}
        terms, stats = recipe.g_terms(variables, frozen, batch, text, out, key)
        return _total(options, "g", terms), (terms, stats)

    seen = out, *((text.sentence, text.words) if text else (None, None))
    args = seen, state.params["d"], state.stats["d"], frozen, batch, text, key
    yield Part("G's terms, through D and frozen networks", g_loss, args, passes=_SEEN_THROUGH)


def _net_part(work: Workload, state, frozen, batch, text, key) -> Part:
    recipe, options = work.system.recipe, work.options

    def loss(params, stats, frozen, batch, text, key):
        terms, metrics, stats = recipe.terms({"params": params, **stats}, frozen, batch, text, key)
        return _total(options, "net", terms), (terms, metrics, stats)

    args = state.params["net"], state.stats["net"], frozen, batch, text, key
    return Part("net", loss, args, passes=_TRAINED)


def _updates(work: Workload, state) -> Callable:
    """All of a step's optimizer updates, from gradients as large as the parameters."""
    recipe, options = work.system.recipe, work.options
    counts = dict.fromkeys(recipe.players, 1)
    if "d" in counts:
        counts["d"] = options.d_steps * len(recipe.d_updates)

    def update(state, grads):
        params, rest = state.params, []
        for player, count in counts.items():
            opt = state.opt[player]
            for _ in range(count):
                old = {name: params[name] for name in networks_of(player, params)}
                own = {name: grads[name] for name in old}
                direction, opt = options.directions[player].update(own, opt, old)
                lr = options.schedules[player](state.step)
                params = {**params, **jax.tree.map(lambda p, u, lr=lr: p - lr * u, old, direction)}
                rest.append(optax.tree.norm(own))
            rest.append(opt)
        return params, rest, update_ema(state.ema, params, state.stats, options.ema_decay)

    return update
