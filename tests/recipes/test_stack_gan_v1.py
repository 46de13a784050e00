"""The objectives of StackGAN-v1's stages: terms, mismatched pairs, the frozen first stage."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from t2i_jax import axis, types
from t2i_jax import config as configs
from t2i_jax.models.stack_gan_v1 import Discriminator, Generator, Stage2Generator
from t2i_jax.recipes import stack_gan_v1, stack_gan_v1_stage2
from t2i_jax.recipes.base import apply_train, check_terms, with_state
from t2i_jax.training import build
from t2i_jax.types import Text

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS, TEXT = 8, 5
PAPER = frozenset({"d.real", "d.wrong", "d.fake", "g.fake", "g.kl"})
ALL = PAPER | {"d.uncond_real", "d.uncond_fake", "g.uncond_fake"}
RELEASED = dict(text_dim=0, join_kernel=3)


def make(stage=1, released=False, mismatch=None, **kw):
    low, size = 8, 8 if stage == 1 else 16
    judge = dict(RELEASED, unconditional=stage == 2) if released else dict(text_dim=6)
    fields = dict(
        discriminator=Discriminator(size, channels=2, **judge),
        mismatch=mismatch or ("shift" if released else "text"),
        active=ALL if released and stage == 2 else PAPER,
        **kw,
    )
    stage1 = Generator(low, channels=2, condition_dim=3, noise_dim=4)
    if stage == 1:
        return stack_gan_v1.Recipe(generator=stage1, **fields)
    generator = Stage2Generator(size, channels=2, condition_dim=3, residual_blocks=1)
    return stack_gan_v1_stage2.Recipe(generator=generator, stage1=stage1, **fields)


def inputs():
    keys = jax.random.split(jax.random.key(7), 3)
    images = jax.random.uniform(keys[0], (2, ROWS, 16, 16, 3), minval=-1, maxval=1)
    batch = {
        types.IMAGES: images[0],
        types.WRONG_IMAGES: images[1],
        types.WRONG_TEXT: Text(jax.random.normal(keys[1], (ROWS, TEXT))),
    }
    return batch, Text(jax.random.normal(keys[2], (ROWS, TEXT)))


def run(recipe, variables, batch, text, key):
    """Terms, states, G's gradient and G's output of a step without updates."""
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
    return {"d": d_terms, "g": g_terms}, {"g": g_state, "d": d_state}, grads, out


def init(recipe):
    return jax.jit(recipe.init)(jax.random.key(1), *inputs())


def close(actual, expected, atol=1e-6):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol), actual, expected
    )


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("stage", [1, 2])
def test_the_weighted_terms_are_the_computed_ones(stage, released):
    recipe = make(stage, released)
    batch, text = inputs()

    def both(key):
        variables = recipe.init(key, batch, text)
        return run(recipe, variables, batch, text, key), variables

    (terms, states, _, out), variables = jax.eval_shape(both, jax.random.key(0))
    for player in recipe.players:
        check_terms(player, terms[player], recipe.active)
        for name, tree in states[player].items():
            old = jax.tree.map(lambda x: x.shape, variables[player][name])
            assert jax.tree.map(lambda x: x.shape, tree) == old
    assert [x.shape[1] for x in out["images"]] == [8, 16][:stage]


@pytest.mark.parametrize("mismatch", ["text", "image", "shift"])
def test_mismatched_pairs(mismatch):
    recipe, (batch, text) = make(mismatch=mismatch), inputs()
    size = jax.image.resize(batch[types.IMAGES], (ROWS, 8, 8, 3), "linear")
    wrong_images = jax.image.resize(batch[types.WRONG_IMAGES], (ROWS, 8, 8, 3), "linear")
    pairs = {
        "text": (slice(None), size, batch[types.WRONG_TEXT].sentence),
        "image": (slice(None), wrong_images, text.sentence),
        "shift": (slice(None, -1), size, text.sentence[1:]),
    }

    @jax.jit
    def both(variables):
        terms, _, _, _ = run(recipe, variables, batch, text, jax.random.key(3))
        rows, images, sentences = pairs[mismatch]
        d = recipe.discriminator
        features, _ = apply_train(d, variables["d"], images, method="features")
        logits, _ = apply_train(d, variables["d"], features[rows], sentences, method="fits")
        expected = optax.sigmoid_binary_cross_entropy(logits, jnp.zeros(logits.shape)).mean()
        return terms["d"]["wrong"], expected

    close(*both(init(recipe)))


def test_the_released_discriminator_sees_mu_as_a_constant():
    recipe, (batch, text) = make(released=True), inputs()
    variables = init(recipe)
    noise = recipe.noise(jax.random.key(3), ROWS)

    @jax.jit
    def gradients(variables):
        out, _ = recipe.generate(variables["g"], batch, text, noise, True)

        def loss(out):
            return recipe.g_terms(variables["d"], {}, batch, text, out, None)[0]["fake"]

        return jax.grad(loss)(out)

    grads = gradients(variables)
    assert not np.any(grads["mu"]) and np.any(grads["images"][0])


@pytest.mark.parametrize("statistics", ["fixed", "moving"])
def test_stage_one_stays_as_it_is(statistics):
    recipe, (batch, text) = make(2, statistics=statistics), inputs()
    variables = init(recipe)
    first = make(1)
    trained = jax.tree.map(lambda x: x + 0.1, init(first)["g"])
    started = recipe.start(variables, {"stage1": trained})
    assert recipe.start(variables, {}) is variables
    close(started["g"]["stage1"], trained)

    noise = recipe.noise(jax.random.key(3), ROWS)
    alone = {"z": noise["z"], "eps": noise["eps1"]}

    @jax.jit
    def both(variables):
        out, state = recipe.generate(variables["g"], batch, text, noise, True)
        if statistics == "fixed":
            made = first.generator.apply(trained, alone, text.sentence, train=False)
        else:
            made, _ = apply_train(first.generator, trained, alone, text.sentence)
        return out["images"][0], state, made.images[0]

    small, state, expected = both(started)
    close(small, expected)
    if statistics == "moving":
        close(state["stage1"]["params"], trained["params"])
        before, after = trained["batch_stats"]["bn"]["mean"], state["stage1"]["batch_stats"]
        assert not np.allclose(before, after["bn"]["mean"])
    else:
        assert "stage1" not in state


def test_four_devices_compute_what_one_does_in_the_released_form():
    recipe, (batch, text), key = make(2, True, statistics="moving"), inputs(), jax.random.key(3)
    variables = init(recipe)

    def everything(recipe, variables, batch, text):
        """Terms and states; gradients of G and of D."""
        *results, g_grads, out = run(recipe, variables, batch, text, key)

        def d_loss(params):
            d_vars = with_state(variables["d"], {"params": params})
            return sum(recipe.d_terms(d_vars, batch, text, out, key)[0].values())

        grads = {"g": g_grads, "d": jax.grad(d_loss)(variables["d"]["params"])}
        return axis.mean((results, grads), recipe.axis_name)

    expected, grads = jax.jit(lambda *a: everything(recipe, *a))(variables, batch, text)
    split = jax.tree.map(lambda x: x.reshape(4, ROWS // 4, *x.shape[1:]), (batch, text))
    bound = recipe.bind("data")
    actual, found = jax.tree.map(
        lambda x: x[0],
        jax.pmap(lambda *a: everything(bound, *a), "data", in_axes=(None, 0, 0))(variables, *split),
    )
    close(actual, expected, atol=1e-5)
    for player in "gd":
        scale = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(grads[player]))
        error = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), found[player], grads[player])
        assert max(jax.tree.leaves(error)) < 2e-4 * scale


def test_a_sample_of_stage_two_is_both_stages_and_has_no_neighbours():
    recipe, (_, text) = make(2), inputs()
    variables = init(recipe)
    keys = jax.random.split(jax.random.key(5), ROWS)
    sample = jax.jit(
        lambda text, keys: recipe.sample(variables["g"], text, recipe.sample_noise(keys))
    )
    images = sample(text, keys)
    assert [x.shape for x in images] == [(ROWS, 8, 8, 3), (ROWS, 16, 16, 3)]
    for few, all_rows in zip(sample(Text(text.sentence[3:5]), keys[3:5]), images, strict=True):
        np.testing.assert_allclose(few, all_rows[3:5], atol=1e-6)


def without_text(**fields):
    recipe = make(2)
    generator = dataclasses.replace(recipe.generator, text=False)
    fields = {"generator": generator, "active": PAPER - {"g.kl"}, **fields}
    return dataclasses.replace(recipe, **fields)


def test_text_in_stage_one_alone_reaches_the_large_image_through_the_small_one():
    recipe, (batch, text), key = without_text(), inputs(), jax.random.key(3)
    assert recipe.noise_shapes == {"z": (4,), "eps1": (3,)}
    variables = init(recipe)
    terms, _, _, out = jax.jit(lambda v: run(recipe, v, batch, text, key))(variables)
    for player in recipe.players:
        check_terms(player, terms[player], recipe.active)

    @jax.jit
    def by_hand(g_vars, small):
        own = {k: v for k, v in g_vars.items() if k != "stage1"}
        return apply_train(recipe.generator, own, small, {}, None)[0].images[0]

    close(out["images"][1], by_hand(variables["g"], out["images"][0]))
    noise = recipe.sample_noise(jax.random.split(key, ROWS))
    images = recipe.sample(variables["g"], text, noise)
    assert [x.shape[1:] for x in images] == [(8, 8, 3), (16, 16, 3)]


def test_fields_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="mismatch must be one of"):
        make(mismatch="batch")
    with pytest.raises(ValueError, match="needs discriminator.text_dim > 0"):
        make(released=True, mismatch="text")
    with pytest.raises(ValueError, match=r"d.uncond_real.*need discriminator.unconditional=True"):
        dataclasses.replace(make(2), active=ALL)
    with pytest.raises(ValueError, match="image_size=8, but the generator makes 16 px"):
        dataclasses.replace(make(2), discriminator=Discriminator(8))
    with pytest.raises(ValueError, match="statistics must be one of"):
        make(2, statistics="frozen")
    with pytest.raises(
        ValueError, match="stage1 must be .* of stack_gan_v1, got .*Stage2Generator"
    ):
        dataclasses.replace(make(2), stage1=Stage2Generator())
    with pytest.raises(ValueError, match="set loss.g.kl=0"):
        without_text(active=PAPER)
    with pytest.raises(ValueError, match="without the generator's mu: set discriminator.text_dim"):
        without_text(discriminator=Discriminator(16, text_dim=0), mismatch="shift")
    with pytest.raises(ValueError, match="needs captions"):
        make().init(jax.random.key(0), inputs()[0], None)


@pytest.mark.parametrize("arg", ["toy_birds", "cub", "flowers", "coco", "coco_released", "debug"])
def test_configs_of_both_stages_fit_each_other(arg):
    one = configs.load(f"{ROOT}/configs/stack_gan_v1.py:{arg}")
    two = configs.load(f"{ROOT}/configs/stack_gan_v1_stage2.py:{arg}")
    assert two.stage1.to_dict() == one.generator.to_dict()
    recipe = build.make_recipe(two)
    assert build.make_recipe(one).generator == recipe.stage1
    assert recipe.generator.image_size == two.data.size > one.data.size


def test_stage_two_takes_over_the_first_of_another_run(monkeypatch):
    first = configs.load(f"{ROOT}/configs/stack_gan_v1.py:debug")
    first.generator.channels = 8
    ema = {"params": {"g": {"fc": 1.0}}, "stats": {"g": {"batch_stats": {"bn": 2.0}}}}
    monkeypatch.setattr(build.runs, "load_ema", lambda source: (first, ema))
    config = configs.load(f"{ROOT}/configs/stack_gan_v1_stage2.py:debug")
    assert build.build(config).frozen.keys() == {"encoder"}  # "random": nothing is taken over
    config.frozen.stage1 = "runs/first"
    system = build.build(config)
    assert system.recipe.stage1.channels == config.stage1.channels == 8
    assert system.frozen["stage1"] == {"params": {"fc": 1.0}, "batch_stats": {"bn": 2.0}}
    assert build.make_recipe(config).stage1 == system.recipe.stage1  # as a sampler builds it
