"""The objective of StackGAN-v2: terms, passes, ablations, and the same numbers on four devices."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from t2i_jax import axis, types
from t2i_jax import config as configs
from t2i_jax.models.images import pyramid
from t2i_jax.models.stack_gan_v2 import Discriminator, Generator
from t2i_jax.recipes.base import apply_train, check_terms, with_state
from t2i_jax.recipes.stack_gan_v2 import Recipe
from t2i_jax.training import build
from t2i_jax.types import Text

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS, TEXT, SIZES = 8, 5, (8, 16)
G_TEXT = {"g.fake", "g.kl"}
D_TEXT = {"d.real", "d.wrong", "d.fake"}
UNCONDITIONAL = frozenset({"d.uncond_real", "d.uncond_fake", "g.uncond_fake", "g.color"})
MODELS = {
    "joint": UNCONDITIONAL | D_TEXT | G_TEXT | {"d.uncond_wrong"},
    "no_jcu": frozenset(D_TEXT | G_TEXT),
    "unconditional": UNCONDITIONAL,
}


def make(model="joint", tree=None, **kw):
    generator = Generator(
        channels=4,
        condition_dim=0 if model == "unconditional" else 3,
        noise_dim=4,
        residual_blocks=1,
        scales=2,
        base_size=8,
        **(tree or {}),
    )
    return Recipe(
        generator=generator,
        discriminator=Discriminator(channels=2),
        active=frozenset(MODELS[model]),
        **kw,
    )


def inputs(recipe, rows=ROWS):
    keys = jax.random.split(jax.random.key(7), 2)
    images = jax.random.uniform(keys[0], (2, rows, 16, 16, 3), minval=-1, maxval=1)
    batch = {types.IMAGES: images[0]}
    if not recipe.conditional:
        return batch, None
    batch[types.WRONG_IMAGES] = images[1]
    return batch, Text(jax.random.normal(keys[1], (rows, TEXT)))


def run(recipe, variables, batch, text, key):
    """Terms of both players and both states, as a step without updates has them; G's gradient."""
    noise = recipe.noise(key, batch[types.IMAGES].shape[0])

    def generate(params):
        g_vars = with_state(variables["g"], {"params": params})
        return recipe.generate(g_vars, batch, text, noise, True)

    out, pull, g_state = jax.vjp(generate, variables["g"]["params"], has_aux=True)
    d_terms, d_state = recipe.d_terms(variables["d"], batch, text, out, key)

    def g_loss(out):
        d_vars = with_state(variables["d"], d_state)
        terms, state = recipe.g_terms(d_vars, {}, batch, text, out, key)
        return sum(terms.values()), (terms, state)

    cotangent, (g_terms, d_state) = jax.grad(g_loss, has_aux=True)(out)
    (grads,) = pull(cotangent)
    return {"d": d_terms, "g": g_terms}, {"g": g_state, "d": d_state}, grads


@pytest.fixture(scope="module")
def variables():
    recipe = make()
    return jax.jit(recipe.init)(jax.random.key(1), *inputs(recipe))


def close(actual, expected, atol=1e-6):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol), actual, expected
    )


@pytest.mark.parametrize(
    "tree", [{}, dict(heads=(2,), last_copies=2), dict(same_size=True)], ids=str
)
@pytest.mark.parametrize("model", MODELS)
def test_the_weighted_terms_are_the_computed_ones(model, tree):
    recipe = make(model, tree)
    batch, text = inputs(recipe)
    terms, states, variables = jax.eval_shape(
        lambda key: (
            *run(recipe, (v := recipe.init(key, batch, text)), batch, text, key)[:2],
            v,
        ),
        jax.random.key(0),
    )
    for player in recipe.players:
        check_terms(player, terms[player], recipe.active)
        before = jax.tree.map(lambda x: x.shape, variables[player]["batch_stats"])
        after = jax.tree.map(lambda x: x.shape, states[player]["batch_stats"])
        assert before == after


@pytest.mark.parametrize("condition", ["sampled", "mean"])
def test_terms_are_separate_passes_summed_over_the_scales(condition, variables):
    recipe, key = make(condition=condition), jax.random.key(3)
    batch, text = inputs(recipe)

    def expected(variables):
        noise = recipe.noise(key, ROWS)
        made, _ = apply_train(recipe.generator, variables["g"], noise, text.sentence)
        seen = made.mu if condition == "mean" else made.conditions[0]

        def d(images, head, label):
            images = pyramid(images, SIZES)
            both, _ = apply_train(recipe.discriminator, variables["d"], images, (seen, seen))
            losses = [
                optax.sigmoid_binary_cross_entropy(x, jnp.full(x.shape, label)).mean()
                for x in both[head]
            ]
            return losses[0] + losses[1]

        real, wrong, fake = batch[types.IMAGES], batch[types.WRONG_IMAGES], made.images
        return {
            "real": d(real, 0, 1.0),
            "wrong": d(wrong, 0, 0.0),
            "fake": d(fake, 0, 0.0),
            "uncond_real": d(real, 1, 1.0),
            "uncond_wrong": d(wrong, 1, 1.0),
            "uncond_fake": d(fake, 1, 0.0),
        }, {"fake": d(fake, 0, 1.0), "uncond_fake": d(fake, 1, 1.0)}

    terms, (d_terms, g_terms) = jax.jit(
        lambda v: (run(recipe, v, batch, text, key)[0], expected(v))
    )(variables)
    close(terms["d"], d_terms)
    close({k: terms["g"][k] for k in g_terms}, g_terms)


def test_the_adversarial_loss_also_reaches_the_generator_through_the_condition(variables):
    recipe = dataclasses.replace(make(condition="mean"), active=frozenset({"g.fake"}))
    batch, text = inputs(recipe)
    noise = recipe.noise(jax.random.key(3), ROWS)

    @jax.jit
    def gradients(variables):
        out, _ = recipe.generate(variables["g"], batch, text, noise, True)

        def loss(out):
            return recipe.g_terms(variables["d"], {}, batch, text, out, None)[0]["fake"]

        return jax.grad(loss)(out)

    grads = gradients(variables)
    assert all(np.abs(g).max() > 0 for g in grads["conditions"])


def test_no_network_runs_more_often_than_the_algorithm_asks():
    def convolutions(model):
        recipe = make(model)
        batch, text = inputs(recipe)
        key = jax.random.key(0)
        variables = jax.eval_shape(lambda: recipe.init(key, batch, text))
        out, _ = jax.eval_shape(
            lambda v: recipe.generate(v["g"], batch, text, recipe.noise(key, ROWS), True), variables
        )

        def d_terms(d_vars, out):
            return recipe.d_terms(d_vars, batch, text, out, None)

        return str(jax.make_jaxpr(d_terms)(variables["d"], out)).count("conv_general_dilated[")

    trunks, conditional, unconditional = 1 + 2, 2 * 2, 2 * 1  # at 8 px and at 16 px
    assert convolutions("joint") == 3 * (trunks + conditional + unconditional)
    assert convolutions("no_jcu") == 3 * (trunks + conditional)
    assert convolutions("unconditional") == 2 * (trunks + unconditional)


def test_four_devices_compute_what_one_does(variables):
    recipe, key = make(color="released"), jax.random.key(3)
    batch, text = inputs(recipe)
    expected = jax.jit(lambda v: run(recipe, v, batch, text, key))(variables)
    bound = recipe.bind("data")
    assert bound.generator.axis_name == bound.discriminator.axis_name == "data"

    def device(variables, batch, text):
        return axis.mean(run(bound, variables, batch, text, key), "data")

    split = jax.tree.map(lambda x: x.reshape(4, ROWS // 4, *x.shape[1:]), (batch, text))
    actual = jax.pmap(device, "data", in_axes=(None, 0, 0))(variables, *split)
    close(jax.tree.map(lambda x: x[0], actual[:2]), expected[:2], atol=1e-5)
    scale = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(expected[2]))
    error = jax.tree.map(lambda a, b: float(jnp.abs(a[0] - b).max()), actual[2], expected[2])
    assert max(jax.tree.leaves(error)) < 2e-4 * scale


def test_a_sample_does_not_depend_on_its_neighbours(variables):
    recipe = make()
    _, text = inputs(recipe)
    keys = jax.random.split(jax.random.key(5), ROWS)
    sample = jax.jit(
        lambda text, keys: recipe.sample(variables["g"], text, recipe.sample_noise(keys))
    )
    images = sample(text, keys)
    assert [x.shape for x in images] == [(ROWS, s, s, 3) for s in SIZES]
    for few, all_rows in zip(sample(Text(text.sentence[3:5]), keys[3:5]), images, strict=True):
        np.testing.assert_allclose(few, all_rows[3:5], atol=1e-6)


def test_fields_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="condition must be one of .*, got 'c'"):
        make(condition="c")
    with pytest.raises(ValueError, match="color must be one of"):
        make(color="code")
    with pytest.raises(ValueError, match=r"image_sizes=\(8, 32\), but the generator makes"):
        dataclasses.replace(make(), discriminator=Discriminator(2, (8, 32)))
    with pytest.raises(ValueError, match="unconditional model, without the terms .*d.real"):
        dataclasses.replace(make("unconditional"), active=MODELS["joint"])
    recipe = make()
    with pytest.raises(ValueError, match="needs captions"):
        recipe.init(jax.random.key(0), inputs(recipe)[0], None)


@pytest.mark.parametrize(
    ("name", "arg", "sizes"),
    [
        ("joint_losses", "cub", [(64, 128, 256)] * 2),
        ("trees", "cub", [(64, 128, 256), (256,), (256,) * 3, (256,) * 3]),
        ("branches", "cub", [(64,), (64, 128), (64, 128, 256)]),
        ("color", "folder_unconditional", [(64, 128, 256)] * 2),
    ],
)
def test_ablations_are_overrides(name, arg, sizes):
    entries = configs.load_sweep(str(ROOT / f"configs/ablations/stack_gan_v2_{name}.py"))
    found = []
    for entry in entries:
        config = configs.load(f"{ROOT}/configs/stack_gan_v2.py:{arg}")
        configs.override(config, {k: v for k, v in entry.items() if k != "name"})
        recipe = build.make_recipe(config)
        found.append(recipe.discriminator.image_sizes)
        assert config.data.size == max(found[-1])
        if entry["name"] == "no_jcu":
            assert recipe.active == MODELS["no_jcu"]
    assert found == sizes and len({entry["name"] for entry in entries}) == len(entries)
