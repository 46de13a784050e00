"""The objective of StackGAN-v2: terms, passes, ablations, and the same numbers on four devices."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from traced import count

from recipes.gan_passes import (
    accuracy,
    check_fakes_handed_over,
    check_four_devices,
    check_shapes,
    close,
    run,
)
from t2i_jax import config as configs
from t2i_jax import types
from t2i_jax.models.images import pyramid
from t2i_jax.models.stack_gan_v2 import Discriminator, Generator
from t2i_jax.recipes.stack_gan_v2 import Recipe
from t2i_jax.recipes.terms import Seen, apply_train
from t2i_jax.sweeps import entries
from t2i_jax.training.modules import make_recipe
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


def inputs(recipe):
    keys = jax.random.split(jax.random.key(7), 2)
    images = jax.random.uniform(keys[0], (2, ROWS, 16, 16, 3), minval=-1, maxval=1)
    if not recipe.conditional:
        return Seen({types.IMAGES: images[0]})
    batch = {types.IMAGES: images[0], types.WRONG_IMAGES: images[1]}
    return Seen(batch, Text(jax.random.normal(keys[1], (ROWS, TEXT))))


@pytest.fixture(scope="module")
def variables():
    recipe = make()
    return jax.jit(recipe.init)(jax.random.key(1), inputs(recipe))


@pytest.mark.parametrize(
    "tree", [{}, dict(heads=(2,), last_copies=2), dict(same_size=True)], ids=str
)
@pytest.mark.parametrize("model", MODELS)
def test_the_weighted_terms_are_the_computed_ones(model, tree):
    recipe = make(model, tree)
    seen = inputs(recipe)

    def both(key):
        variables = recipe.init(key, seen)
        return run(recipe, variables, seen, key), variables

    passes, variables = jax.eval_shape(both, jax.random.key(0))
    check_shapes(recipe, passes, variables)
    # An unconditional D is judged by the only heads that it has.
    judged = ("real", "fake") if model == "unconditional" else ("real", "wrong", "fake")
    names = {f"accuracy_{kind}" for kind in judged}
    if model == "joint":
        names |= {f"accuracy_uncond_{kind}" for kind in judged}
    assert passes.d.metrics.keys() == names


@pytest.mark.parametrize("condition", ["sampled", "mean"])
def test_terms_are_separate_passes_summed_over_the_scales(condition, variables):
    recipe, key = make(condition=condition), jax.random.key(3)
    seen = inputs(recipe)

    def expected(variables):
        noise = recipe.noise(key, ROWS)
        made, _ = apply_train(recipe.generator, variables["g"], noise, seen.text.sentence)
        c = made.mu if condition == "mean" else made.conditions[0]

        def d(images):
            images = pyramid(images, SIZES)
            return apply_train(recipe.discriminator, variables["d"], images, (c, c))[0]

        real, wrong = seen.batch[types.IMAGES], seen.batch[types.WRONG_IMAGES]
        return {"real": d(real), "wrong": d(wrong), "fake": d(made.images)}

    def bce(logits, label):
        losses = [optax.sigmoid_binary_cross_entropy(x, jnp.full(x.shape, label)) for x in logits]
        return losses[0].mean() + losses[1].mean()

    passes, logits = jax.jit(lambda v: (run(recipe, v, seen, key), expected(v)))(variables)
    for kind, (fits, real) in logits.items():
        fitting, genuine = kind == "real", kind != "fake"
        close(passes.d.losses[kind], bce(fits, float(fitting)))
        close(passes.d.losses[f"uncond_{kind}"], bce(real, float(genuine)))
        found = passes.d.metrics
        close(found[f"accuracy_{kind}"], accuracy(*fits, positive=fitting))
        close(found[f"accuracy_uncond_{kind}"], accuracy(*real, positive=genuine))
    fits, real = logits["fake"]
    close(passes.g.losses["fake"], bce(fits, 1.0))
    close(passes.g.losses["uncond_fake"], bce(real, 1.0))


def test_the_adversarial_loss_also_reaches_the_generator_through_the_condition(variables):
    recipe = dataclasses.replace(make(condition="mean"), active=frozenset({"g.fake"}))
    seen = inputs(recipe)
    noise = recipe.noise(jax.random.key(3), ROWS)

    @jax.jit
    def gradients(variables):
        out, _ = recipe.generate(variables["g"], seen, noise, True)

        def loss(out):
            return recipe.g_terms(variables["d"], seen, out, None).losses["fake"]

        return jax.grad(loss)(out)

    grads = gradients(variables)
    assert all(np.abs(g).max() > 0 for g in grads["conditions"])


def test_no_network_runs_more_often_than_the_algorithm_asks():
    def convolutions(model):
        recipe = make(model)
        seen, key = inputs(recipe), jax.random.key(0)
        variables = jax.eval_shape(lambda: recipe.init(key, seen))
        out, _ = jax.eval_shape(
            lambda v: recipe.generate(v["g"], seen, recipe.noise(key, ROWS), True), variables
        )

        def d_terms(d_vars, out):
            return recipe.d_terms(d_vars, seen, out, None)

        return count("conv_general_dilated", d_terms, variables["d"], out)

    trunks, conditional, unconditional = 1 + 2, 2 * 2, 2 * 1  # at 8 px and at 16 px
    assert convolutions("joint") == 3 * (trunks + conditional + unconditional)
    assert convolutions("no_jcu") == 3 * (trunks + conditional)
    assert convolutions("unconditional") == 2 * (trunks + unconditional)


def test_four_devices_compute_what_one_does(variables):
    recipe = make(color="released")
    check_four_devices(recipe, variables, inputs(recipe), jax.random.key(3))


def test_the_generator_takes_over_what_the_discriminator_found(variables):
    recipe = make()
    check_fakes_handed_over(recipe, variables, inputs(recipe), jax.random.key(3))


def test_the_generator_asks_for_answers_that_the_discriminators_terms_did_not_need(variables):
    """D is trained by its heads without text alone, G by those with text."""
    active = frozenset({"d.uncond_real", "d.uncond_fake", "g.fake"})
    recipe = dataclasses.replace(make(), active=active)
    seen, key = inputs(recipe), jax.random.key(3)

    @jax.jit
    def losses(variables):
        out, _ = recipe.generate(variables["g"], seen, recipe.noise(key, ROWS), True)
        fakes = recipe.d_terms(variables["d"], seen, out, key).fakes
        return [
            recipe.g_terms(variables["d"], seen, out, key, fakes=x).losses for x in (fakes, None)
        ]

    given, asked = losses(variables)
    close(given, asked)


def test_a_sample_is_the_generator_in_evaluation_mode_and_has_no_neighbours(variables):
    recipe = make(condition="mean")  # which is about D: samples are of drawn conditions
    text = inputs(recipe).text
    keys = jax.random.split(jax.random.key(5), ROWS)

    @jax.jit
    def sample(sentence, keys):
        noise = recipe.sample_noise(keys)
        out, state = recipe.generate(variables["g"], Seen({}, Text(sentence)), noise, train=False)
        alone = recipe.generator.apply(variables["g"], noise, sentence, train=False)
        return out["images"], state, alone.images

    images, state, alone = sample(text.sentence, keys)
    assert [x.shape for x in images] == [(ROWS, s, s, 3) for s in SIZES] and not state
    jax.tree.map(np.testing.assert_array_equal, images, alone)
    for few, rows in zip(sample(text.sentence[3:5], keys[3:5])[0], images, strict=True):
        np.testing.assert_allclose(few, rows[3:5], atol=1e-6)


def test_fields_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="condition must be one of .*, got 'c'"):
        make(condition="c")
    with pytest.raises(ValueError, match="color must be one of"):
        make(color="code")
    with pytest.raises(ValueError, match=r"image_sizes=\(8, 32\), but the generator makes"):
        dataclasses.replace(make(), discriminator=Discriminator(2, (8, 32)))
    with pytest.raises(ValueError, match="unconditional model, without the terms .*d.real"):
        dataclasses.replace(make("unconditional"), active=MODELS["joint"])
    assert make().reads == "sentence" and make("unconditional").reads == "nothing"


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
    found = []
    for entry in entries.load(str(ROOT / f"configs/ablations/stack_gan_v2_{name}.py")):
        config = configs.load(f"{ROOT}/configs/stack_gan_v2.py:{arg}")
        configs.override(config, entry.overrides)
        recipe = make_recipe(config)
        found.append(recipe.discriminator.image_sizes)
        assert config.data.size == max(found[-1])
        if entry.name == "no_jcu":
            assert recipe.active == MODELS["no_jcu"]
    assert found == sizes
