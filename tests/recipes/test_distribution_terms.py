"""The terms of DR-GAN's two modules in the systems that take them: closed forms on features made by
hand, what the authors' release computes in their place, and which terms a config gets.
"""

import dataclasses
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recipes.gan_passes import check_four_devices, check_shapes, run
from t2i_jax import config as configs
from t2i_jax import types
from t2i_jax.models.distribution_normalization import DistributionNormalization, Reconstructed
from t2i_jax.models.semantic_disentangling import Disentangled, Parts, SemanticDisentangling
from t2i_jax.profiling.passes import forward_runs
from t2i_jax.recipes import attn_gan, dm_gan, dr_gan, stack_gan_v2
from t2i_jax.recipes.terms import Seen
from t2i_jax.training.modules import loss_weights
from t2i_jax.types import Text

ROWS, WORDS = 4, 3
TINY = dict(channels=4, condition_dim=3, noise_dim=4, residual_blocks=1, scales=2, base_size=8)
SDM = {
    "paper": {"g.sdl_image", "g.sdl_context", "g.rirm"},
    "released": {"g.sdl", "g.rirm"},
}
DNM = {"g.dnm_image", "g.dnm_kl", "d.dnm_real", "d.dnm_fake", "d.dnm_kl_real", "d.dnm_kl_fake"}
PLAIN = {"d.real", "d.fake", "d.uncond_fake", "g.fake", "g.uncond_fake", "g.kl"}
SYSTEMS = {
    "attn_gan": attn_gan,
    "dm_gan": dm_gan,
    "dr_gan": dr_gan,
    "stack_gan_v2": stack_gan_v2,
}
ROOT = pathlib.Path(__file__).resolve().parents[2]


def make(system="dr_gan", form="paper", sdm=True, dnm=True, scales=2, **fields):
    """A tiny recipe with the terms of the modules that it has."""
    module = SYSTEMS[system]
    active = PLAIN | (SDM[form] if sdm else set()) | (DNM if dnm else set())
    if system == "stack_gan_v2":
        active.discard("g.sdl_context")
    return module.Recipe(
        generator=module.Generator(**{**TINY, "scales": scales}, sdm=sdm, sdm_form=form),
        discriminator=module.Discriminator(channels=2, dnm=dnm, dnm_form=form, condition_dim=3),
        active=frozenset(active),
        **fields,
    )


def seen_of(rows=ROWS, side=16):
    keys = jax.random.split(jax.random.key(7), 3)
    mask = jnp.arange(WORDS) < jnp.asarray([3, 1, 2, 3] * rows)[:rows, None]
    text = Text(
        jax.random.normal(keys[0], (rows, 5)),
        jax.random.normal(keys[1], (rows, WORDS, 5)),
        mask,
    )
    images = jax.random.uniform(keys[2], (rows, side, side, 3), minval=-1)
    return Seen({types.IMAGES: images}, text)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_module_brings_its_terms_and_no_others(system):
    """With and without each of the two; only shapes are computed."""
    seen, key = seen_of(2), jax.random.key(0)
    for form, sdm, dnm in (
        ("paper", True, False),
        ("released", False, True),
        ("released", True, True),
    ):
        recipe = make(system, form, sdm, dnm)

        def both(key, recipe=recipe):
            variables = recipe.init(key, seen)
            return run(recipe, variables, seen, key), variables

        passes, variables = jax.eval_shape(both, key)
        check_shapes(recipe, passes, variables)
        names = names_of(variables)
        assert any("sdm" in name for name in names["g"]) == sdm
        assert ("dnm" in names["d"]) == dnm


def names_of(variables):
    """Of all modules of each player."""
    return {
        player: {k.key for path, _ in jax.tree_util.tree_leaves_with_path(tree) for k in path}
        for player, tree in variables.items()
    }


def test_terms_without_their_module_are_refused():
    for fields, message in (
        (dict(sdm=False), "g.rirm is of the Semantic Disentangling.*set generator.sdm=True"),
        (dict(dnm=False), "g.dnm_.* are of the Distribution Norm.*set discriminator.dnm=True"),
        (dict(sdm_form="released"), "'released' has the terms .*, not 'sdl_context'"),
        (dict(sdm_form="code"), "sdm_form must be one of .*, got 'code'"),
    ):
        good = make()
        g = {k: v for k, v in fields.items() if k.startswith("sdm")}
        d = {k: v for k, v in fields.items() if k == "dnm"}
        with pytest.raises(ValueError, match=message):
            dr_gan.Recipe(
                generator=good.generator.clone(**g),
                discriminator=good.discriminator.clone(**d),
                active=good.active,
            )
    with pytest.raises(ValueError, match=r"dnm_scales=\(1.0,\): give one for each of 2 scales"):
        make(dnm_scales=(1.0,))


# Closed forms, on two stages and three scales that are random numbers.


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def softplus(x):
    return np.log1p(np.exp(x))


def stages():
    """Of a first stage of 8 px and a second of 16."""
    made = []
    for i, side in enumerate((8, 16)):
        maps = [(1 + j) * numbers(10 * i + j, ROWS, side, side, 4) + j for j in range(5)]
        codes = [0.7 * numbers(10 * i + j + 5, ROWS, 4) + 0.3 * j for j in range(5)]
        parts = [Parts((k, r), (k2, r2), real) for k, r, k2, r2, real in (maps, codes)]
        made.append(Disentangled(*parts, numbers(i, ROWS, side, side, 3)))
    return tuple(made)


def stage_losses(form, made):
    seen = seen_of(side=32)
    recipe = make(form=form, dnm=False, scales=3)
    found = recipe.stage_losses(seen, {"disentangled": made})
    assert {f"g.{name}" for name in found} == SDM[form]
    return found, recipe.real_images(seen)


def test_disentangling_in_closed_form():
    made = stages()
    found, real = stage_losses("paper", made)
    for name in ("image", "context"):
        expected = 0.0
        for features in (stage.features for stage in made):
            for statistic in (np.mean, np.var):
                key, rest, target = (
                    statistic(x.astype(float), axis=(1, 2))
                    for x in (*getattr(features, name), features.real)
                )
                gap = np.linalg.norm(key - target, axis=1) - np.linalg.norm(rest - target, axis=1)
                expected += softplus(gap).mean()
        np.testing.assert_allclose(found[f"sdl_{name}"], expected, rtol=1e-5)
    errors = [np.abs(x - s.reconstruction).mean() for x, s in zip(real, made, strict=False)]
    np.testing.assert_allclose(found["rirm"], sum(errors), rtol=1e-5)


def released_parts(made):
    """What each stage's loss holds beside its constant."""
    found = []
    for codes, side in ((stage.codes, stage.features.real.shape[1]) for stage in made):
        loss, target = 0.0, codes.real.mean(0)
        for half in (codes.image, codes.context):
            near, far = (np.sum((x.mean(0) - target) ** 2) / side for x in half)
            loss += softplus(near - far) + np.exp(near)
        found.append((float(loss), side))
    return found


def stretched(x, axes):
    """The same means over the axes, three times the deviations."""
    mean = x.mean(axes, keepdims=True)
    return mean + 3 * (x - mean)


def test_surprise_the_released_variance_terms_are_constant():
    """2 ln 2 + 2 for a stage, whatever the spread of its codes; those of the paper's form move."""
    made = stages()
    wider = [
        s._replace(
            codes=jax.tree.map(lambda x: stretched(x, 0), s.codes),
            features=s.features._replace(
                image=(stretched(s.features.image[0], (1, 2)), s.features.image[1])
            ),
        )
        for s in made
    ]
    for each in (made, wider):
        exponent = np.log(stage_losses("released", each)[0]["sdl"]) / np.log(10.1)
        rest = sum(loss / side**2 for loss, side in released_parts(each))
        constant = (exponent - rest) / sum(1 / side**2 for side in (8, 16))
        np.testing.assert_allclose(constant, 2 * np.log(2) + 2, rtol=1e-3)
    before, after = (stage_losses("paper", each)[0]["sdl_image"] for each in (made, wider))
    assert abs(after - before) > 1e-3 * before  # rounding is a ten-thousandth of that


def test_surprise_the_released_stages_are_an_exponent_of_10_1():
    made = stages()
    found, real = stage_losses("released", made)
    exponent = sum((loss + 2 * np.log(2) + 2) / side**2 for loss, side in released_parts(made))
    assert 0.1 < exponent < 1.0
    np.testing.assert_allclose(found["sdl"], 10.1**exponent, rtol=1e-4)
    errors = [
        np.sum((x - s.reconstruction) ** 2) / x.shape[1] ** 2
        for x, s in zip(real, made, strict=False)
    ]
    np.testing.assert_allclose(found["rirm"], sum(errors), rtol=1e-5)


def gaussian_kl(x):
    return -0.5 * np.mean(1 + x.logvar - x.mu**2 - np.exp(x.logvar))


def reconstructed(seed, sides):
    return [
        Reconstructed(numbers(seed + i, ROWS, s, s, 3), *numbers(seed + i + 9, 2, ROWS, 3))
        for i, s in enumerate(sides)
    ]


@pytest.mark.parametrize("form", ["paper", "released"])
def test_reconstruction_in_closed_form(form):
    """In the released form all are compared at the lowest size, as the release reduces: each 2x2
    cell to its mean, each 4x4 cell to that of its inner four.
    """
    seen = seen_of(side=32)
    recipe = make(form=form, sdm=False, scales=3, dnm_scales=(0.5, 2.0, 3.0))
    real = recipe.real_images(seen)
    fake = [numbers(40 + i, *x.shape) for i, x in enumerate(real)]
    sides = (8, 16, 32) if form == "paper" else (8, 8, 8)
    again = {"real": reconstructed(50, sides), "fake": reconstructed(70, sides)}
    found = recipe.reconstruction_losses_of_d({"real": real, "fake": fake}, again)

    def distance(x, y):
        difference = np.asarray(x) - np.asarray(y)
        return np.abs(difference).mean() if form == "paper" else np.linalg.norm(difference)

    targets = {"real": real, "fake": fake}
    if form == "released":
        inner = fake[2].reshape(ROWS, 8, 4, 8, 4, 3)[:, :, 1:3, :, 1:3].mean((2, 4))
        cells = fake[1].reshape(ROWS, 8, 2, 8, 2, 3).mean((2, 4))
        targets = {"real": [real[0]] * 3, "fake": [fake[0], cells, inner]}
    for kind, made in again.items():
        expected = sum(distance(m.image, t) for m, t in zip(made, targets[kind], strict=True))
        np.testing.assert_allclose(found[f"dnm_{kind}"], expected, rtol=1e-5)
        expected = sum(gaussian_kl(m) for m in made)
        np.testing.assert_allclose(found[f"dnm_kl_{kind}"], expected, rtol=1e-5)

    def d(features, sentence, noise, method):
        return again["fake"]

    found = recipe.reconstruction_losses_of_g(d, None, seen, jax.random.key(0))
    pairs = zip((0.5, 2.0, 3.0), again["fake"], targets["real"], strict=True)
    expected = sum(f * distance(m.image, t) for f, m, t in pairs)
    np.testing.assert_allclose(found["dnm_image"], expected, rtol=1e-5)
    expected = sum(gaussian_kl(m) for m in again["fake"])
    np.testing.assert_allclose(found["dnm_kl"], expected, rtol=1e-5)


def test_surprise_the_released_mask_depends_on_the_batch():
    """Its logits are divided by the batch size; those of the paper's form by nothing."""
    features = jnp.asarray(numbers(0, 4, 8, 8, 4))

    def logits(form, rows):
        module, few = SemanticDisentangling(form), features[:rows]
        run = jax.jit(lambda x: module.init_with_output(jax.random.key(0), x, None, None, False))
        (key, _, _), _ = run(few)
        share = key / few
        return np.log(share / (1 - share))

    two, four = logits("released", 2), logits("released", 4)
    np.testing.assert_allclose(two, 2 * four[:2], atol=1e-3)
    assert np.abs(two).max() > 0.1
    np.testing.assert_allclose(logits("paper", 2), logits("paper", 4)[:2], atol=1e-3)


def test_surprise_the_released_divergence_is_that_of_real_latents_alone():
    """The code adds the real one twice, 0.01 each."""
    paper, released = (
        loss_weights(configs.load(f"{ROOT}/configs/dr_gan.py:cub{suffix}"))
        for suffix in ("", "_released")
    )
    assert released["d.dnm_kl_real"] == 0.02 and "d.dnm_kl_fake" not in released
    assert paper["d.dnm_kl_real"] == paper["d.dnm_kl_fake"] > 0
    assert "g.dnm_kl" in paper and "g.dnm_kl" not in released


@pytest.mark.parametrize("system", ["dr_gan", "stack_gan_v2"])
def test_surprise_the_head_of_the_stage_before_decodes_real_images(system):
    """That of the first stage is called for its own image and for the real one."""
    recipe, seen, calls = make(system), seen_of(2), []

    def record(call, args, kwargs, context):
        if context.method_name == "__call__" and len(context.module.path) == 1:
            calls.append(context.module.path[0])
        return call(*args, **kwargs)

    def generate(key):
        variables = recipe.init(key, seen)
        noise = recipe.noise(key, 2)
        calls.clear()
        return recipe.generate(variables["g"], seen, noise, train=True)[0]

    with nn.intercept_methods(record):
        out = jax.eval_shape(generate, jax.random.key(0))
    assert (calls.count("image1"), calls.count("image2")) == (2, 1)
    (stage,) = out["disentangled"]
    assert stage.reconstruction.shape == (2, 8, 8, 3)
    assert (stage.features.context is None) == (system == "stack_gan_v2"), "it has no words"


def test_surprise_released_reconstructions_are_small_and_not_bounded():
    """All have the lowest size; the last activation is a LeakyReLU in place of a tanh."""
    seen, key = seen_of(2), jax.random.key(0)
    for form, sizes in (("paper", [8, 16]), ("released", [8, 8])):
        recipe = make(form=form)

        def draw(key, recipe=recipe):
            d = recipe.critic(recipe.init(key, seen)["d"])
            return recipe.reconstruct(d, recipe.look(d, recipe.real_images(seen)), seen, key)

        assert [x.image.shape[1] for x in jax.eval_shape(draw, key)] == sizes
        module = DistributionNormalization(3, 8, 8, form)
        features, noise = numbers(0, 2, 4, 4, 6), numbers(1, 2, 2, 3)
        args = features, seen.text.sentence, noise

        @jax.jit
        def largest(key, module=module, args=args):
            variables = module.init(key, *args, train=False)
            variables["params"]["image"]["kernel"] *= 1000.0
            return jnp.abs(module.apply(variables, *args, train=False).image).max()

        assert (largest(key) > 1) == (form == "released")


def test_fakes_are_looked_at_as_often_as_the_form_asks():
    """By G's terms: once in the paper's form, twice in the released one; never for the other terms
    where D's terms hand over what they found.
    """
    seen, key = seen_of(2), jax.random.key(0)

    def passes(recipe, hand_over):
        variables = jax.eval_shape(lambda key: recipe.init(key, seen), key)
        out = jax.eval_shape(
            lambda g: recipe.generate(g, seen, recipe.noise(key, 2), True)[0], variables["g"]
        )

        def d_terms(d, out):
            return recipe.d_terms(d, seen, out, key)

        fakes = jax.eval_shape(d_terms, variables["d"], out).fakes if hand_over else None

        def g_terms(d, out, fakes):
            return recipe.g_terms(d, seen, out, key, fakes=fakes)

        runs = forward_runs(g_terms, variables["d"], out, fakes, rows=2)
        return runs["Discriminator.features"], runs["Discriminator.reconstruct"]

    for system in ("dr_gan", "stack_gan_v2"):
        assert passes(make(system), False) == (1, 1)
        assert passes(make(system), True) == (0, 1)
        assert passes(make(system, dnm=False), True) == (0, 0)
    assert passes(make(form="released"), False) == (2, 1)
    assert passes(make(form="released"), True) == (0, 1)
    of_d_alone = make()
    active = of_d_alone.active - {"g.dnm_image", "g.dnm_kl"}
    assert passes(dataclasses.replace(of_d_alone, active=active), False) == (1, 0)


def test_four_devices_compute_what_one_does():
    """In the released form, whose norms and means are of the whole batch."""
    recipe, seen = make("stack_gan_v2", "released", dnm_scales=(0.01, 0.1)), seen_of(8)
    variables = jax.jit(recipe.init)(jax.random.key(1), seen)
    check_four_devices(recipe, variables, seen, jax.random.key(3))


def test_an_unconditional_model_has_no_sentences_for_reconstructions():
    recipe = make("stack_gan_v2", sdm=False)
    with pytest.raises(ValueError, match="discriminator.dnm=True reads sentences"):
        dataclasses.replace(
            recipe,
            generator=recipe.generator.clone(condition_dim=0),
            active=frozenset({"d.uncond_real", "g.uncond_fake"}),
        )


def test_stages_without_an_image_have_no_decoder():
    with pytest.raises(ValueError, match=r"sdm=True needs the image of every stage"):
        make("stack_gan_v2", dnm=False).generator.clone(heads=(2,)).init(
            jax.random.key(0), {}, None, False
        )
