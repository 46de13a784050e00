"""Inverting a generator: the loss in closed form, what it can learn, four devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from t2i_jax import axis
from t2i_jax.losses.degradations import degrade
from t2i_jax.models import df_gan, rat_gan, stack_gan_v2, xmc_gan
from t2i_jax.models.gan_int_cls import Generator
from t2i_jax.models.style_encoder import StyleEncoder
from t2i_jax.recipes.style_encoder import Recipe
from t2i_jax.recipes.terms import Seen, apply_train, with_state
from t2i_jax.types import Text

ROWS, NOISE = 8, 3
RECIPE = Recipe(
    net=StyleEncoder(32, channels=4, noise_dim=NOISE),
    generator=Generator(32, channels=4, text_dim=4, noise_dim=NOISE),
    active=frozenset({"net.style"}),
)
TEXT = Text(jax.random.normal(jax.random.key(1), (ROWS, 5)))


def seen_of(generator, text=TEXT):
    return Seen({}, text, frozen={"generator": generator})


@pytest.fixture(scope="module")
def trained_generator():
    """Variables of some generator whose images depend on the noise."""
    variables = RECIPE.generator.init(
        jax.random.key(2), {"z": jnp.zeros((1, NOISE))}, jnp.zeros((1, 5)), train=False
    )
    # DCGAN's small start makes all images grey in evaluation mode.
    return {**variables, "params": jax.tree.map(lambda x: 4 * x, variables["params"])}


@pytest.fixture(scope="module")
def variables():
    return jax.jit(lambda key: RECIPE.init(key, Seen({}))["net"])(jax.random.key(0))


def test_the_encoder_may_see_what_it_inverts_degraded(variables, trained_generator):
    recipe, key = dataclasses.replace(RECIPE, degraded=True), jax.random.key(3)

    @jax.jit
    def run():
        z = jax.random.normal(key, (ROWS, NOISE))
        made = RECIPE.generator.apply(trained_generator, {"z": z}, TEXT.sentence, train=False)[-1]
        seen = degrade(made, jax.random.fold_in(key, 1))
        said, _ = apply_train(RECIPE.net, variables, seen)
        found = recipe.terms(variables, seen_of(trained_generator), key).losses["style"]
        return found, jnp.mean(jnp.sum((z - said) ** 2, axis=-1)), jnp.max(jnp.abs(seen - made))

    found, expected, change = run()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert change > 0.1


@pytest.mark.parametrize("noise", ["normal", "uniform"])
def test_an_encoder_that_says_zero_has_the_noise_energy_as_loss(
    noise, variables, trained_generator
):
    recipe = dataclasses.replace(RECIPE, generator=RECIPE.generator.clone(noise=noise))
    style = jax.tree.map(jnp.zeros_like, variables["params"]["style"])
    variables = {**variables, "params": {**variables["params"], "style": style}}
    key, seen = jax.random.key(3), seen_of(trained_generator)
    terms = jax.jit(recipe.terms)(variables, seen, key)
    if noise == "normal":
        z = np.asarray(jax.random.normal(key, (ROWS, NOISE)))
    else:
        z = np.asarray(jax.random.uniform(key, (ROWS, NOISE), minval=-1, maxval=1))
    assert terms.losses.keys() == {"style"} and terms.metrics.keys() == {"mse_per_coordinate"}
    assert terms.losses["style"] == pytest.approx(np.sum(z**2) / ROWS, rel=1e-5)
    assert terms.metrics["mse_per_coordinate"] == pytest.approx(np.mean(z**2), rel=1e-5)
    assert not np.array_equal(
        terms.state["batch_stats"]["trunk"]["bn2"]["mean"],
        variables["batch_stats"]["trunk"]["bn2"]["mean"],
    )


WORDS = jax.random.normal(jax.random.key(5), (ROWS, 4, 5))
OTHERS = {
    "df_gan": df_gan.Generator(channels=2, image_size=32, noise_dim=NOISE),
    "rat_gan": rat_gan.Generator(channels=2, image_size=32, noise_dim=NOISE, state_dim=4),
    "xmc_gan": xmc_gan.Generator(channels=1, image_size=32, noise_dim=NOISE, attend_from=16),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_generators_of_one_noise_vector(name):
    generator = OTHERS[name]
    net = StyleEncoder(generator.image_size, channels=2, noise_dim=NOISE)
    recipe = Recipe(net=net, generator=generator, active=frozenset({"net.style"}))
    text = Text(TEXT.sentence, WORDS, jnp.ones((ROWS, 4), bool))
    if recipe.reads == "sentence":
        text = Text(TEXT.sentence)

    @jax.jit
    def run(key):
        frozen = recipe.init_frozen("generator", key, seen_of(None, text))
        variables = recipe.init(key, Seen({}))["net"]
        z = jax.random.normal(key, (ROWS, NOISE))
        made = generator.apply(frozen, {"z": z}, *(x for x in text if x is not None), train=False)
        images = made.images if name == "xmc_gan" else made
        said, _ = apply_train(net, variables, images[-1])
        terms = recipe.terms(variables, seen_of(frozen, text), key)
        return terms.losses["style"], jnp.mean(jnp.sum((z - said) ** 2, axis=-1))

    found, expected = run(jax.random.key(3))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_generators_of_more_noise_and_of_another_width_are_refused():
    with pytest.raises(ValueError, match="frozen.generator is a .*stack_gan_v2.Generator, but"):
        dataclasses.replace(RECIPE, generator=stack_gan_v2.Generator(noise_dim=NOISE))
    with pytest.raises(ValueError, match="net.noise_dim=3: .* has 5 numbers"):
        dataclasses.replace(RECIPE, generator=RECIPE.generator.clone(noise_dim=5))


def test_style_is_learnt(variables, trained_generator):
    optimizer = optax.adam(2e-3, b1=0.5)
    seen = seen_of(trained_generator, Text(jnp.tile(TEXT.sentence, (4, 1))))

    @jax.jit
    def step(variables, opt_state, key):
        def loss(params):
            terms = RECIPE.terms({**variables, "params": params}, seen, key)
            return terms.losses["style"], terms

        grads, terms = jax.grad(loss, has_aux=True)(variables["params"])
        updates, opt_state = optimizer.update(grads, opt_state)
        params = optax.apply_updates(variables["params"], updates)
        variables = with_state({"params": params}, terms.state)
        return variables, opt_state, terms.metrics["mse_per_coordinate"]

    opt_state, errors = optimizer.init(variables["params"]), []
    for key in jax.random.split(jax.random.key(4), 60):
        variables, opt_state, error = step(variables, opt_state, key)
        errors.append(float(error))
    assert np.mean(errors[-10:]) < 0.5 * np.mean(errors[:5])


def test_four_devices_compute_what_one_does(variables, trained_generator):
    key = jax.random.key(3)
    expected = jax.jit(RECIPE.terms)(variables, seen_of(trained_generator), key)
    bound = RECIPE.bind("data")

    def device(text):
        seen = seen_of(trained_generator, text)
        return axis.mean(bound.terms(variables, seen, key), "data")

    split = jax.tree.map(lambda x: x.reshape(4, ROWS // 4, *x.shape[1:]), TEXT)
    actual = jax.pmap(device, "data")(split)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-4, atol=1e-6), actual, expected
    )
