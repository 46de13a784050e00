"""The objectives of StackGAN-v1's stages: terms, mismatched pairs, the frozen first stage."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

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
from t2i_jax.models.stack_gan_v1 import Discriminator, Generator, Stage2Generator
from t2i_jax.recipes import stack_gan_v1, stack_gan_v1_stage2
from t2i_jax.recipes.terms import Seen, apply_train
from t2i_jax.training import build, networks, runs
from t2i_jax.training.modules import make_recipe
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
    batch = {types.IMAGES: images[0], types.WRONG_IMAGES: images[1]}
    wrong, right = (Text(jax.random.normal(key, (ROWS, TEXT))) for key in keys[1:])
    return Seen(batch, right, wrong)


def init(recipe, stage1=None):
    """Variables of both players; `stage1` what Stage II starts from, by default random."""

    @jax.jit
    def draw(key, stage1):
        seen, frozen = inputs(), {}
        if "stage1" in recipe.frozen_parts:
            frozen["stage1"] = stage1 or recipe.init_frozen("stage1", key, seen)
        return recipe.init(key, seen._replace(frozen=frozen))

    return draw(jax.random.key(1), stage1)


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("stage", [1, 2])
def test_the_weighted_terms_are_the_computed_ones(stage, released):
    recipe = make(stage, released)
    variables = jax.eval_shape(lambda: init(recipe))
    passes = jax.eval_shape(lambda v: run(recipe, v, inputs(), jax.random.key(0)), variables)
    check_shapes(recipe, passes, variables)
    assert [x.shape[1] for x in passes.out["images"]] == [8, 16][:stage]
    kinds = [
        "real",
        "wrong",
        "fake",
        *(["uncond_real", "uncond_fake"] if recipe.active == ALL else []),
    ]
    assert passes.d.metrics.keys() == {f"accuracy_{kind}" for kind in kinds}


@pytest.mark.parametrize("mismatch", ["text", "image", "shift"])
def test_mismatched_pairs(mismatch):
    recipe, seen = make(mismatch=mismatch), inputs()
    small = {k: jax.image.resize(x, (ROWS, 8, 8, 3), "linear") for k, x in seen.batch.items()}
    pairs = {
        "text": (slice(None), small[types.IMAGES], seen.wrong_text.sentence),
        "image": (slice(None), small[types.WRONG_IMAGES], seen.text.sentence),
        "shift": (slice(None, -1), small[types.IMAGES], seen.text.sentence[1:]),
    }

    @jax.jit
    def both(variables):
        d_terms = run(recipe, variables, seen, jax.random.key(3)).d
        rows, images, sentences = pairs[mismatch]
        d = recipe.discriminator
        features, _ = apply_train(d, variables["d"], images, method="features")
        logits, _ = apply_train(d, variables["d"], features[rows], sentences, method="fits")
        return d_terms, logits

    d_terms, logits = both(init(recipe))
    expected = optax.sigmoid_binary_cross_entropy(logits, jnp.zeros(logits.shape)).mean()
    close(d_terms.losses["wrong"], expected)
    close(d_terms.metrics["accuracy_wrong"], accuracy(logits, positive=False))


def test_the_released_discriminator_sees_mu_as_a_constant():
    recipe, seen = make(released=True), inputs()
    variables = init(recipe)
    noise = recipe.noise(jax.random.key(3), ROWS)

    @jax.jit
    def gradients(variables):
        out, _ = recipe.generate(variables["g"], seen, noise, True)

        def loss(out):
            return recipe.g_terms(variables["d"], seen, out, None).losses["fake"]

        return jax.grad(loss)(out)

    grads = gradients(variables)
    assert not np.any(grads["mu"]) and np.any(grads["images"][0])


@pytest.mark.parametrize("statistics", ["fixed", "moving"])
def test_stage_one_stays_as_it_is(statistics):
    recipe, seen = make(2, statistics=statistics), inputs()
    first = make(1)
    trained = jax.tree.map(lambda x: x + 0.1, init(first)["g"])
    variables = init(recipe, trained)
    close(variables["g"]["stage1"], trained)

    noise = recipe.noise(jax.random.key(3), ROWS)
    alone = {"z": noise["z"], "eps": noise["eps1"]}

    @jax.jit
    def both(variables):
        out, state = recipe.generate(variables["g"], seen, noise, True)
        if statistics == "fixed":
            made = first.generator.apply(trained, alone, seen.text.sentence, train=False)
        else:
            made, _ = apply_train(first.generator, trained, alone, seen.text.sentence)
        return out["images"][0], state, made.images[0]

    small, state, expected = both(variables)
    close(small, expected)
    if statistics == "moving":
        close(state["stage1"]["params"], trained["params"])
        before, after = trained["batch_stats"]["bn"]["mean"], state["stage1"]["batch_stats"]
        assert not np.allclose(before, after["bn"]["mean"])
    else:
        assert "stage1" not in state


@pytest.fixture(scope="module")
def released():
    """Stage II of the release, with its variables."""
    recipe = make(2, True, statistics="moving")
    return recipe, init(recipe)


def test_four_devices_compute_what_one_does_in_the_released_form(released):
    recipe, variables = released
    check_four_devices(recipe, variables, inputs(), jax.random.key(3))


def test_the_generator_takes_over_what_the_discriminator_found(released):
    recipe, variables = released
    check_fakes_handed_over(recipe, variables, inputs(), jax.random.key(3))


def test_a_sample_is_both_generators_in_evaluation_mode_and_has_no_neighbours(released):
    recipe, variables = released
    text = inputs().text
    keys = jax.random.split(jax.random.key(5), ROWS)
    own = {k: v for k, v in variables["g"].items() if k != "stage1"}

    @jax.jit
    def sample(sentence, keys):
        noise = recipe.sample_noise(keys)
        out, state = recipe.generate(variables["g"], Seen({}, Text(sentence)), noise, train=False)
        low = {"z": noise["z"], "eps": noise["eps1"]}
        small = recipe.stage1.apply(variables["g"]["stage1"], low, sentence, train=False).images
        high = {"eps": noise["eps2"]}
        large = recipe.generator.apply(own, small[-1], high, sentence, train=False).images
        return out["images"], state, (*small, *large)

    images, state, alone = sample(text.sentence, keys)
    assert [x.shape for x in images] == [(ROWS, 8, 8, 3), (ROWS, 16, 16, 3)] and not state
    jax.tree.map(np.testing.assert_array_equal, images, alone)
    for few, rows in zip(sample(text.sentence[3:5], keys[3:5])[0], images, strict=True):
        np.testing.assert_allclose(few, rows[3:5], atol=1e-6)


def without_text(**fields):
    recipe = make(2)
    generator = dataclasses.replace(recipe.generator, text=False)
    fields = {"generator": generator, "active": PAPER - {"g.kl"}, **fields}
    return dataclasses.replace(recipe, **fields)


def test_text_in_stage_one_alone_reaches_the_large_image_through_the_small_one():
    recipe, seen, key = without_text(), inputs(), jax.random.key(3)
    assert recipe.noise_shapes == {"z": (4,), "eps1": (3,)}
    variables = init(recipe)
    passes = jax.jit(lambda v: run(recipe, v, seen, key))(variables)
    check_shapes(recipe, passes, variables)

    @jax.jit
    def by_hand(g_vars, small):
        own = {k: v for k, v in g_vars.items() if k != "stage1"}
        return apply_train(recipe.generator, own, small, {}, None)[0].images[0]

    small, large = passes.out["images"]
    close(large, by_hand(variables["g"], small))


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


@pytest.mark.parametrize("arg", ["toy_birds", "cub", "flowers", "coco", "coco_released", "debug"])
def test_configs_of_both_stages_fit_each_other(arg):
    one = configs.load(f"{ROOT}/configs/stack_gan_v1.py:{arg}")
    two = configs.load(f"{ROOT}/configs/stack_gan_v1_stage2.py:{arg}")
    assert two.stage1.to_dict() == one.generator.to_dict()
    recipe = make_recipe(two)
    assert make_recipe(one).generator == recipe.stage1
    assert recipe.generator.image_size == two.data.size > one.data.size


def test_stage_two_takes_over_the_first_of_another_run(monkeypatch, tmp_path):
    first = configs.load(f"{ROOT}/configs/stack_gan_v1.py:debug")
    first.generator.channels = 8
    runs.write_config(tmp_path, first)
    ema = {"params": {"g": {"fc": 1.0}}, "stats": {"g": {"batch_stats": {"bn": 2.0}}}}
    monkeypatch.setattr(networks.runs, "load_ema", lambda run, step: (first, ema))
    config = configs.load(f"{ROOT}/configs/stack_gan_v1_stage2.py:debug")
    untrained = build.build(config)
    assert untrained.frozen.keys() == {"encoder"} and untrained.untrained == ("stage1",)
    config.frozen.stage1 = str(tmp_path)
    system = build.build(config)
    assert system.recipe.stage1.channels == config.stage1.channels == 8
    taken = system.variables["stage1"]
    assert taken == {"params": {"fc": 1.0}, "batch_stats": {"bn": 2.0}}
    assert make_recipe(config).stage1 == system.recipe.stage1  # as a sampler builds it
