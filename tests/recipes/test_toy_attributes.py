"""The attribute classifier's term and metrics, what it can learn, and what it refuses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from t2i_jax import config_parts, types
from t2i_jax.data.toy_birds import ATTRIBUTES
from t2i_jax.encoders.small_image_net import SmallImageNet
from t2i_jax.losses.attributes import cross_entropy
from t2i_jax.recipes.terms import Seen, with_state
from t2i_jax.recipes.toy_attributes import Recipe

CLASSES = (3, 2)
RECIPE = Recipe(
    net=SmallImageNet((4, 8), embedding=5),
    classes=CLASSES,
    degraded=False,
    active=frozenset({"net.attributes"}),
)


def batch(rows=24):
    """Flat images whose red channel is the first attribute, and green the second."""
    rng = np.random.default_rng(0)
    labels = np.stack([rng.integers(0, 3, rows), rng.integers(0, 2, rows)], axis=1)
    images = np.zeros((rows, 8, 8, 3), np.float32)
    images[..., 0] = labels[:, :1, None] - 1
    images[..., 1] = labels[:, 1:, None]
    return Seen({types.IMAGES: jnp.asarray(images), types.ATTRIBUTES: jnp.asarray(labels)})


@pytest.fixture(scope="module")
def variables():
    return jax.jit(lambda key: RECIPE.init(key, batch())["net"])(jax.random.key(0))


def test_it_is_learnt(variables):
    optimizer = optax.adam(1e-2)
    seen = batch()

    @jax.jit
    def step(variables, state, key):
        def loss(params):
            terms = RECIPE.terms({**variables, "params": params}, seen, key)
            return terms.losses["attributes"], terms

        grads, terms = jax.grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(grads, state)
        params = optax.apply_updates(variables["params"], updates)
        return with_state({"params": params}, terms.state), state, terms

    state, key = optimizer.init(variables["params"]), jax.random.key(1)
    first = None
    for _ in range(40):
        variables, state, terms = step(variables, state, key)
        first = terms if first is None else first
    assert set(terms.losses) == {"attributes"}
    assert set(terms.metrics) == {"accuracy", "accuracy_worst"}
    assert terms.losses["attributes"] < 0.3 * first.losses["attributes"]
    assert terms.metrics["accuracy_worst"] > 0.8


def test_the_term_is_the_cross_entropy_of_degraded_images(variables):
    """And the key decides how they are degraded."""
    recipe = dataclasses.replace(RECIPE, degraded=True)
    seen, terms = batch(), jax.jit(recipe.terms)
    one, same, other = (terms(variables, seen, jax.random.key(k)) for k in (1, 1, 2))
    assert one.losses["attributes"] == same.losses["attributes"] != other.losses["attributes"]
    plain = jax.jit(RECIPE.terms)(variables, seen, jax.random.key(1))
    images = seen.of(types.IMAGES)
    logits, _ = RECIPE.net.apply(variables, images, train=True, mutable=["batch_stats"])
    expected, right = cross_entropy(logits, seen.of(types.ATTRIBUTES), CLASSES)
    assert plain.losses["attributes"] == pytest.approx(float(expected), rel=1e-5)
    assert plain.metrics["accuracy"] == pytest.approx(float(jnp.mean(right)))


def test_configs_know_the_attributes_of_the_toy_birds():
    sizes = {name: len(values) for name, values in ATTRIBUTES.items()}
    assert list(config_parts.TOY_ATTRIBUTES.items()) == list(sizes.items())


def test_what_does_not_fit_is_refused(variables):
    with pytest.raises(ValueError, match=r"net.embedding=5: must be 7, the sum"):
        dataclasses.replace(RECIPE, classes=(3, 4))
    seen = batch()
    without = Seen({types.IMAGES: seen.of(types.IMAGES)})
    with pytest.raises(ValueError, match="set data.attributes"):
        RECIPE.terms(variables, without, jax.random.key(0))
