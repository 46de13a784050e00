"""What the tests of GANs' recipes share: a step of both players without its updates."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax import axis
from t2i_jax.recipes.terms import Terms, check_terms, local_rows, with_state


class Passes(NamedTuple):
    """What G made and its new state; the terms of both players; the gradient of all of G's."""

    out: dict[str, Any]
    g_state: dict
    d: Terms
    g: Terms
    g_grads: Any


def run(recipe, variables, seen, key) -> Passes:
    """One pass of everything; G is judged by a D whose running statistics have moved."""
    noise = recipe.noise(key, local_rows(seen.batch))

    def generate(params):
        return recipe.generate(with_state(variables["g"], {"params": params}), seen, noise, True)

    out, pull, g_state = jax.vjp(generate, variables["g"]["params"], has_aux=True)
    d = recipe.d_terms(variables["d"], seen, out, key)

    def g_loss(out):
        g = recipe.g_terms(with_state(variables["d"], d.state), seen, out, key)
        return sum(g.losses.values()), g

    cotangent, g = jax.grad(g_loss, has_aux=True)(out)
    return Passes(out, g_state, d, g, pull(cotangent)[0])


def check_shapes(recipe, passes: Passes, variables) -> None:
    """The terms are the weighted ones, scalars in float32; the states have the shapes of old."""
    for player, terms in (("d", passes.d), ("g", passes.g)):
        check_terms(player, terms.losses, recipe.active)
        for value in (*terms.losses.values(), *terms.metrics.values()):
            assert value.shape == () and value.dtype == jnp.float32
    for state, player in ((passes.g_state, "g"), (passes.d.state, "d"), (passes.g.state, "d")):
        for collection, tree in state.items():
            old = jax.tree.map(jnp.shape, variables[player][collection])
            assert jax.tree.map(jnp.shape, tree) == old


def check_four_devices(recipe, variables, seen, key, atol=1e-5) -> None:
    """Four devices, each with its rows, compute what one does with all of them."""

    def results(recipe, variables, seen):
        p = run(recipe, variables, seen, key)
        means = {"d": p.d.replace(fakes=None), "g": p.g, "g_state": p.g_state}
        return axis.mean((means, p.g_grads), recipe.axis_name)

    expected, grads = jax.jit(lambda *a: results(recipe, *a))(variables, seen)
    bound = recipe.bind("data")
    split = jax.tree.map(lambda x: x.reshape(4, len(x) // 4, *x.shape[1:]), seen)
    actual, found = jax.tree.map(
        lambda x: x[0],
        jax.pmap(lambda *a: results(bound, *a), "data", in_axes=(None, 0))(variables, split),
    )
    close(actual, expected, atol)
    close_gradients(found, grads)


def check_fakes_handed_over(recipe, variables, seen, key) -> None:
    """With what D's terms found in the fakes, G's terms ask D nothing more, and are the same
    functions of what G made as those that ask D themselves.
    """
    noise = recipe.noise(key, local_rows(seen.batch))

    def loss(out, handed_over):
        fakes = recipe.d_terms(variables["d"], seen, out, key).fakes if handed_over else None
        terms = recipe.g_terms(variables["d"], seen, out, key, fakes=fakes)
        return sum(terms.losses.values()), terms

    @jax.jit
    def both(variables):
        out, _ = recipe.generate(variables["g"], seen, noise, True)
        return [jax.grad(loss, has_aux=True)(out, handed_over) for handed_over in (False, True)]

    (asked_grads, asked), (grads, terms) = both(variables)
    assert asked.state and not terms.state
    close(terms.losses, asked.losses)
    close_gradients(grads, asked_grads)


def accuracy(*logits, positive: bool) -> float:
    """The share of rows with the right sign, averaged over the scales."""
    return np.mean([np.mean((np.asarray(x) > 0) == positive) for x in logits])


def close(actual, expected, atol=1e-6) -> None:
    """Every array, to 1e-4 of its size."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol), actual, expected
    )


def close_gradients(actual, expected, tolerance=2e-4) -> None:
    """Every entry, to a share of the largest entry of all."""
    scale = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(expected))
    errors = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), actual, expected)
    assert scale > 0 and max(jax.tree.leaves(errors)) < tolerance * scale
