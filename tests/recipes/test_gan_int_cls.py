"""The objective of the four models: terms, passes, and the same numbers on four devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats
from traced import count

from recipes.gan_passes import (
    accuracy,
    check_fakes_handed_over,
    check_four_devices,
    check_shapes,
    close,
    run,
)
from t2i_jax import axis, types
from t2i_jax.models.gan_int_cls import Discriminator, Generator
from t2i_jax.recipes.gan_int_cls import Recipe
from t2i_jax.recipes.terms import Seen, apply_train
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


def inputs():
    keys = jax.random.split(jax.random.key(7), 3)
    images = jax.random.uniform(keys[0], (2, ROWS, SIZE, SIZE, 3), minval=-1, maxval=1)
    batch = {types.IMAGES: images[0], types.WRONG_IMAGES: images[1]}
    wrong, right = (Text(jax.random.normal(key, (ROWS, TEXT))) for key in keys[1:])
    return Seen(batch, right, wrong)


@pytest.fixture(scope="module")
def variables():
    return jax.jit(make().init)(jax.random.key(1), inputs())


@pytest.mark.parametrize("form", ["paper", "released"])
@pytest.mark.parametrize("model", MODELS)
def test_the_weighted_terms_are_the_computed_ones(model, form, variables):
    recipe = make(model, form=form, mismatch="image" if form == "released" else "text")
    passes = jax.eval_shape(lambda v: run(recipe, v, inputs(), jax.random.key(0)), variables)
    check_shapes(recipe, passes, variables)
    judged = {name.removeprefix("d.") for name in MODELS[model] if name.startswith("d.")}
    assert passes.d.metrics.keys() == {f"accuracy_{kind}" for kind in judged}


def test_terms_of_the_paper_are_separate_passes_and_separate_means(variables):
    recipe, seen, key = make(), inputs(), jax.random.key(3)

    @jax.jit
    def expected(variables):
        def d(images, sentence):
            return apply_train(recipe.discriminator, variables["d"], images, sentence)[0]

        t, noise = seen.text.sentence, recipe.noise(key, ROWS)
        middle = (t[:4] + t[4:]) / 2
        (fakes,), _ = apply_train(recipe.generator, variables["g"], noise, t)
        noise = {"z": noise["z_interp"]}
        (between,), _ = apply_train(recipe.generator, variables["g"], noise, middle)
        logits = {
            "real": d(seen.batch[types.IMAGES], t),
            "wrong": d(seen.batch[types.IMAGES], seen.wrong_text.sentence),
            "fake": d(fakes, t),
        }
        return logits, d(between, middle)

    def bce(logits, label):
        return optax.sigmoid_binary_cross_entropy(logits, jnp.full(len(logits), label)).mean()

    passes = jax.jit(lambda v: run(recipe, v, seen, key))(variables)
    logits, between = expected(variables)
    close(passes.d.losses, {k: bce(x, float(k == "real")) for k, x in logits.items()})
    close(passes.g.losses, {"fake": bce(logits["fake"], 1.0), "interp": bce(between, 1.0)})
    for kind, x in logits.items():
        assert passes.d.metrics[f"accuracy_{kind}"] == accuracy(x, positive=kind == "real")


def test_no_network_runs_more_often_than_the_algorithm_asks(variables):
    seen = inputs()

    def convolutions(recipe):
        def d_terms(d_vars):
            return recipe.d_terms(d_vars, seen, {"images": (seen.batch[types.IMAGES],)}, None)

        return count("conv_general_dilated", d_terms, variables["d"])

    trunk, head = 6, 2  # at 32 px: three strided, three in the block; two after the join
    assert convolutions(make()) == 2 * trunk + 3 * head
    assert convolutions(make(mismatch="image")) == 3 * trunk + 3 * head
    assert convolutions(make("gan")) == 2 * trunk + 2 * head


@pytest.mark.parametrize(
    "fields",
    [
        dict(form="paper", mismatch="text"),
        dict(form="released", mismatch="image", interp="extrapolate"),
    ],
    ids=lambda fields: fields["form"],
)
def test_four_devices_compute_what_one_does(fields, variables):
    check_four_devices(make(**fields), variables, inputs(), jax.random.key(3), atol=1e-6)


def test_the_generator_takes_over_what_the_discriminator_found(variables):
    check_fakes_handed_over(make("gan_cls"), variables, inputs(), jax.random.key(3))
    released = make("gan_cls", form="released", mismatch="image")
    passes = jax.eval_shape(lambda v: run(released, v, inputs(), jax.random.key(3)), variables)
    assert passes.d.fakes is None  # D saw other fakes than G's terms are about


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
        # The same random bits; what is made of them is rounded by each program in its own way.
        np.testing.assert_array_max_ulp(z.reshape(drawn[place].shape), drawn[place], maxulp=4)


def test_a_sample_is_the_generator_in_evaluation_mode_and_has_no_neighbours(variables):
    recipe, text = make(form="released"), inputs().text
    keys = jax.random.split(jax.random.key(5), ROWS)

    @jax.jit
    def sample(sentence, keys):
        noise = recipe.sample_noise(keys)
        out, state = recipe.generate(variables["g"], Seen({}, Text(sentence)), noise, train=False)
        (alone,) = recipe.generator.apply(variables["g"], noise, sentence, train=False)
        return out, state, alone

    out, state, alone = sample(text.sentence, keys)
    (images,) = out["images"]
    assert out.keys() == {"images"} and not state
    assert images.shape == (ROWS, SIZE, SIZE, 3) and np.abs(images).max() <= 1
    np.testing.assert_array_equal(images, alone)
    (two,) = sample(text.sentence[3:5], keys[3:5])[0]["images"]
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
