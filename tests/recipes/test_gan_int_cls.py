"""The objective of the four models: terms, passes, and the same numbers on four devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from t2i_jax import axis, types
from t2i_jax.models.gan_int_cls import Discriminator, Generator
from t2i_jax.recipes.base import apply_train, check_terms, with_state
from t2i_jax.recipes.gan_int_cls import Recipe
from t2i_jax.types import Text

ROWS, SIZE, TEXT, NOISE = 8, 32, 5, 3
GAN = frozenset({"d.real", "d.fake", "g.fake"})
MODELS = {
    "gan": GAN,
    "gan_cls": GAN | {"d.wrong"},
    "gan_int": GAN | {"g.interp"},
    "gan_int_cls": GAN | {"d.wrong", "g.interp"},
}


def make(model="gan_int_cls", **kw):
    return Recipe(
        generator=Generator(SIZE, channels=4, text_dim=4, noise_dim=NOISE),
        discriminator=Discriminator(SIZE, channels=4, text_dim=4),
        active=MODELS[model],
        **kw,
    )


def inputs(rows=ROWS):
    keys = jax.random.split(jax.random.key(7), 4)
    images = jax.random.uniform(keys[0], (2, rows, SIZE, SIZE, 3), minval=-1, maxval=1)
    batch = {
        types.IMAGES: images[0],
        types.WRONG_IMAGES: images[1],
        types.WRONG_TEXT: Text(jax.random.normal(keys[1], (rows, TEXT))),
    }
    return batch, Text(jax.random.normal(keys[2], (rows, TEXT)))


def run(recipe, variables, batch, text, key, g_params=None):
    """Terms of both players and both states, as a step without updates has them."""
    noise = recipe.noise(key, text.sentence.shape[0])
    g_vars = variables["g"] if g_params is None else {**variables["g"], "params": g_params}
    out, g_state = recipe.generate(g_vars, batch, text, noise, train=True)
    d_terms, d_state = recipe.d_terms(variables["d"], batch, text, out, key)
    d_vars = with_state(variables["d"], d_state)
    g_terms, d_state = recipe.g_terms(d_vars, {}, batch, text, out, key)
    return {"d": d_terms, "g": g_terms}, {"g": g_state, "d": d_state}


def generator_gradient(recipe, variables, batch, text, key):
    """Gradient of G's first term by its parameters, through batch norms in both networks."""

    def loss(params):
        terms, _ = run(recipe, variables, batch, text, key, params)
        return terms["g"]["fake"]

    return jax.grad(loss)(variables["g"]["params"])


@pytest.fixture(scope="module")
def variables():
    return jax.jit(make().init)(jax.random.key(1), *inputs())


def close(actual, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), actual, expected
    )


@pytest.mark.parametrize("form", ["paper", "released"])
@pytest.mark.parametrize("model", MODELS)
def test_the_weighted_terms_are_the_computed_ones(model, form, variables):
    recipe = make(model, form=form, mismatch="image" if form == "released" else "text")
    terms, states = jax.eval_shape(
        lambda v: run(recipe, v, *inputs(), jax.random.key(0)), variables
    )
    for player in recipe.players:
        check_terms(player, terms[player], recipe.active)
        before = jax.tree.map(jnp.shape, variables[player]["batch_stats"])
        assert jax.tree.map(jnp.shape, states[player]["batch_stats"]) == before


def test_terms_of_the_paper_are_separate_passes_and_separate_means(variables):
    recipe, (batch, text), key = make(), inputs(), jax.random.key(3)

    @jax.jit
    def expected(variables):
        def d(images, sentence, label):
            logits, _ = apply_train(recipe.discriminator, variables["d"], images, sentence)
            return optax.sigmoid_binary_cross_entropy(logits, jnp.full(len(logits), label)).mean()

        t, noise = text.sentence, recipe.noise(key, ROWS)
        middle = (t[:4] + t[4:]) / 2
        fakes, _ = apply_train(recipe.generator, variables["g"], noise["z"], t)
        between, _ = apply_train(recipe.generator, variables["g"], noise["z_interp"], middle)
        return {
            "d": {
                "real": d(batch[types.IMAGES], t, 1.0),
                "wrong": d(batch[types.IMAGES], batch[types.WRONG_TEXT].sentence, 0.0),
                "fake": d(fakes, t, 0.0),
            },
            "g": {"fake": d(fakes, t, 1.0), "interp": d(between, middle, 1.0)},
        }

    terms, _ = jax.jit(lambda v: run(recipe, v, batch, text, key))(variables)
    close(terms, expected(variables))


def test_no_network_runs_more_often_than_the_algorithm_asks(variables):
    batch, text = inputs()

    def convolutions(recipe):
        def d_terms(d_vars):
            out = {"images": (batch[types.IMAGES],)}
            return recipe.d_terms(d_vars, batch, text, out, None)

        return str(jax.make_jaxpr(d_terms)(variables["d"])).count("conv_general_dilated[")

    trunk, head = 6, 2  # at 32 px: three strided, three in the block; two after the join
    assert convolutions(make()) == 2 * trunk + 3 * head
    assert convolutions(make(mismatch="image")) == 3 * trunk + 3 * head
    assert convolutions(make("gan")) == 2 * trunk + 2 * head


def on_four_devices(function, recipe, variables, batch, text, key):
    """Mean over the devices of `function` in a per-device program, each with its share of rows."""

    def device(variables, batch, text):
        return axis.mean(function(recipe.bind("data"), variables, batch, text, key), "data")

    split = jax.tree.map(lambda x: x.reshape(4, ROWS // 4, *x.shape[1:]), (batch, text))
    result = jax.pmap(device, "data", in_axes=(None, 0, 0))(variables, *split)
    return jax.tree.map(lambda x: x[0], result)


def test_gradient_of_the_generator_is_the_same_on_four_devices(variables):
    recipe = dataclasses.replace(make(), active=frozenset({"g.fake"}))
    args = (*inputs(), jax.random.key(3))
    expected = jax.jit(lambda v: generator_gradient(recipe, v, *args))(variables)
    actual = on_four_devices(generator_gradient, recipe, variables, *args)
    largest = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(expected))
    errors = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), actual, expected)
    assert max(jax.tree.leaves(errors)) < 1e-4 * largest


@pytest.mark.parametrize(
    "fields",
    [
        dict(form="paper", mismatch="text"),
        dict(form="released", mismatch="image", interp="extrapolate"),
    ],
    ids=lambda fields: fields["form"],
)
def test_every_term_is_the_same_on_four_devices(fields, variables):
    recipe, args = make(**fields), (*inputs(), jax.random.key(3))
    expected = jax.jit(lambda v: run(recipe, v, *args))(variables)
    close(on_four_devices(run, recipe, variables, *args), expected)


def test_extrapolated_sentences_lie_on_the_line_through_the_pair():
    recipe = make(interp="extrapolate")
    sentence = jnp.stack([jnp.zeros(2), jnp.zeros(2), jnp.ones(2), jnp.full(2, 2.0)])
    np.testing.assert_allclose(recipe.interpolate(sentence), [[0.5, 0.5], [1.0, 1.0]])
    ends = recipe.interpolate(sentence, jnp.array([-1.0, 1.0]))
    np.testing.assert_allclose(ends, [[-0.5, -0.5], [3.0, 3.0]])
    alpha = recipe.noise(jax.random.key(0), 1000)["alpha"]
    assert alpha.shape == (500,) and -1 <= alpha.min() < -0.9 and 0.9 < alpha.max() < 1


@pytest.mark.parametrize("name", ["normal", "uniform"])
def test_noise_of_training_and_of_samples_has_the_chosen_distribution(name):
    recipe = make(form="released")
    generator = dataclasses.replace(recipe.generator, noise=name, noise_dim=500)
    recipe = dataclasses.replace(recipe, generator=generator)
    drawn = recipe.noise(jax.random.key(0), ROWS)
    drawn["sample"] = recipe.sample_noise(jax.random.split(jax.random.key(1), ROWS))["z"]
    assert drawn.keys() == {"z", "z_d", "z_interp", "sample"}
    theory = {"normal": stats.norm(), "uniform": stats.uniform(-1, 2)}
    for place, z in drawn.items():
        for other, distribution in theory.items():
            probable = stats.kstest(np.ravel(z), distribution.cdf).pvalue > 1e-3
            assert probable == (other == name), (place, other)
    np.testing.assert_allclose(axis.NOISE_VARIANCE[name], theory[name].var())
    bound = recipe.bind("data")
    local = jax.pmap(lambda _: bound.noise(jax.random.key(0), ROWS // 4), "data")(np.zeros(4))
    for place, z in local.items():
        np.testing.assert_array_equal(z.reshape(drawn[place].shape), drawn[place])


def test_a_sample_does_not_depend_on_its_neighbours(variables):
    recipe, (_, text) = make(), inputs()
    keys = jax.random.split(jax.random.key(5), ROWS)
    sample = jax.jit(
        lambda text, keys: recipe.sample(variables["g"], text, recipe.sample_noise(keys))
    )
    (images,) = sample(text, keys)
    assert images.shape == (ROWS, SIZE, SIZE, 3) and np.abs(images).max() <= 1
    (two,) = sample(Text(text.sentence[3:5]), keys[3:5])
    np.testing.assert_allclose(two, images[3:5], atol=1e-6)


def test_binding_reaches_the_modules():
    bound = make().bind("data")
    assert bound.generator.axis_name == bound.discriminator.axis_name == bound.axis_name == "data"


@pytest.mark.parametrize("field", ["form", "mismatch", "interp"])
def test_misspelt_switches_are_refused(field):
    with pytest.raises(ValueError, match=f"{field} must be one of .*, got 'papier'"):
        dataclasses.replace(make(), **{field: "papier"})


def test_unknown_noise_is_refused():
    with pytest.raises(ValueError, match="generator.noise must be one of .*, got 'gauss'"):
        dataclasses.replace(make(), generator=Generator(SIZE, noise="gauss"))


def test_interpolation_needs_an_even_number_of_rows():
    with pytest.raises(ValueError, match="a device's batch has 3 rows"):
        make().noise(jax.random.key(0), 3)
    assert make("gan_cls").noise(jax.random.key(0), 3)["z"].shape == (3, NOISE)
