"""What every GAN's recipe has without saying so: noise, conditions, what a sample shows."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.terms import Seen
from t2i_jax.types import Text

SHAPES = {"z": (50,), "eps": (2, 20)}
KEYS = jax.random.split(jax.random.key(1), 100)


class Network(nn.Module):
    """A network of which only the noise matters here."""

    axis_name: str | None = None
    noise_shapes = SHAPES


class Uniform(GanRecipe):
    """Of a generator that is trained with uniform noise."""

    noise_distribution = "uniform"


RECIPE = GanRecipe(generator=Network(), discriminator=Network())


def same_law(sample, law):
    return stats.kstest(np.ravel(sample), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("kind", "law"), [(GanRecipe, stats.norm()), (Uniform, stats.uniform(-1, 2))]
)
def test_noise_of_training_and_of_samples_has_the_shapes_and_the_law_of_the_generators(kind, law):
    recipe = kind(generator=Network(), discriminator=Network())
    for noise in (recipe.noise(jax.random.key(0), 100), recipe.sample_noise(KEYS)):
        assert {k: x.shape for k, x in noise.items()} == {k: (100, *s) for k, s in SHAPES.items()}
        assert all(same_law(x, law) for x in noise.values())
        # No array is a part of another one; a few of thousands of float32 meet by chance.
        assert np.intersect1d(noise["z"], noise["eps"]).size < 20


def test_noise_does_not_depend_on_the_number_of_devices():
    whole = RECIPE.noise(jax.random.key(0), 8)
    bound = RECIPE.bind("data")
    assert bound.axis_name == bound.generator.axis_name == bound.discriminator.axis_name == "data"
    parts = jax.vmap(
        lambda _: bound.noise(jax.random.key(0), 2), axis_name="data", axis_size=4, in_axes=None
    )(None)
    for name, shape in SHAPES.items():
        np.testing.assert_array_equal(parts[name].reshape(8, *shape), whole[name])


@pytest.mark.parametrize("truncation", [None, 0.88])
def test_the_noise_of_a_sample_depends_on_its_own_key_alone(truncation):
    many = RECIPE.sample_noise(KEYS[:5], truncation)
    one = RECIPE.sample_noise(KEYS[3:4], truncation)
    for name in SHAPES:
        np.testing.assert_array_equal(one[name][0], many[name][3])


def test_truncated_noise_is_a_scaled_normal_cut_at_two():
    law = stats.truncnorm(-2, 2, scale=0.88)
    for x in RECIPE.sample_noise(KEYS, truncation=0.88).values():
        assert 1.6 < np.abs(x).max() <= 2 * 0.88
        np.testing.assert_allclose(np.var(x), law.var(), rtol=0.08)
        assert same_law(x, law)
    recipe = Uniform(generator=Network(), discriminator=Network())
    with pytest.raises(ValueError, match="truncation=0.88 is for normal noise.* is uniform"):
        recipe.sample_noise(KEYS, truncation=0.88)


def test_a_sample_shows_all_that_has_a_row_for_every_image():
    attention = (jnp.ones((3, 4, 4, 7)), jnp.ones((3, 8, 8, 7)))
    out = {
        "images": (jnp.zeros((3, 4, 4, 3)), jnp.zeros((3, 8, 8, 3))),
        "attention": attention,
        "mu": jnp.zeros((3, 2)),
        "weights": jnp.ones(5),
        "logvar": None,
    }
    shown = RECIPE.examine({}, Seen({}), out)
    assert shown.keys() == {"attention_1", "attention_2", "attention", "mu"}
    assert shown["attention_1"] is attention[0] and shown["mu"] is out["mu"]
    assert shown["attention_2"] is shown["attention"] is attention[1]


def test_the_condition_is_the_sentence_if_there_is_one():
    text = Text(jnp.ones((2, 5)))
    assert RECIPE.condition_of(Seen({}, text), {}) is text.sentence
    assert RECIPE.condition_of(Seen({}), {}) is None


def test_a_recipe_draws_no_network_that_it_does_not_know():
    with pytest.raises(ValueError, match="t2i_jax.recipes.base makes no random network 'image'"):
        RECIPE.init_frozen("image", jax.random.key(0), Seen({}))


def test_terms_are_on_where_the_config_weighs_them():
    recipe = dataclasses.replace(RECIPE, active=frozenset({"g.kl"}))
    assert recipe.on("g.kl") and not recipe.on("d.kl")
