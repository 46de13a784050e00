"""Penalties, the relativistic loss and DiffAugment in every GAN of the library, slopes by hand of
StackGAN-v2 and AttnGAN, devices. Closed forms: test_regularizers.py.
"""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from recipes.gan_passes import close, close_gradients
from t2i_jax import axis, types
from t2i_jax import config as configs
from t2i_jax.encoders.damsm import CompactImageEncoder
from t2i_jax.losses.diff_augment import POLICIES
from t2i_jax.losses.regularizers import mode_seeking
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.regularizers import augmented
from t2i_jax.recipes.terms import Seen, apply_train, check_terms, with_state
from t2i_jax.training import fields, modules
from t2i_jax.types import Text

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
ROWS, WIDTH, WORDS = 8, 12, 4
KEY = jax.random.key(3)
PAIRS = ("d.real", "d.fake", "d.uncond_real", "d.uncond_fake", "g.fake", "g.uncond_fake")
MORE = {  # what else keeps compiling short
    "stack_gan_v2": {"generator.base_size": 8, "data.size": 16},
    "attn_gan": {"loss.g.damsm_words": 0.0, "loss.g.damsm_sentence": 0.0},
}
WITHOUT = {k: {**{f"loss.{term}": 0.0 for term in PAIRS}, **more} for k, more in MORE.items()}
ON = {
    "loss.d.r1": 0.5,
    "loss.d.r2": 0.25,
    "loss.d.ma_gp": 0.125,
    "loss.d.relativistic": 1.0,
    "loss.g.relativistic": 1.0,
    "recipe.augment": POLICIES,
}
IMAGE_ENCODER = CompactImageEncoder(embedding=WIDTH, widths=(3, 4), local_stages=1)


def numbers(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape, minval=-1, maxval=1)


def make(system, changes):
    """The recipe of a debug config with overrides, and an example of what it sees."""
    config = fields.resolve(f"{CONFIGS / system}.py:debug", changes).config
    others = {name: None for name in config.frozen if name not in config}
    recipe = modules.make_recipe(config, others)
    images = [numbers(i, ROWS, config.data.size, config.data.size, 3) for i in range(2)]
    batch = dict(zip((types.IMAGES, types.WRONG_IMAGES), images, strict=True))
    batch[types.LABEL] = jnp.arange(ROWS)
    mask = jnp.arange(WORDS) < jnp.asarray([4, 1, 2, 3] * 2)[:, None]
    texts = [Text(numbers(i, ROWS, WIDTH), numbers(i, ROWS, WORDS, WIDTH), mask) for i in (5, 6)]
    seen = Seen(batch, *texts)
    recipe = dataclasses.replace(recipe, damsm=IMAGE_ENCODER)
    frozen = {k: recipe.init_frozen(k, KEY, seen) for k in recipe.frozen_parts}
    return recipe, seen._replace(frozen=frozen), modules.loss_weights(config)


def run(recipe, variables, seen):
    """All of both players' terms, before any update."""
    noise = recipe.noise(KEY, seen.text.sentence.shape[0])
    out, _ = recipe.generate(variables["g"], seen, noise, True)
    d = [update(variables["d"], seen, out, KEY) for update in recipe.d_updates]
    return out, d, recipe.g_update(variables["d"], seen, out, KEY)


def is_gan(path):
    return issubclass(modules.recipe_module(configs.load(str(path)).system).Recipe, GanRecipe)


GANS = [p.stem for p in sorted(CONFIGS.glob("*.py")) if is_gan(p)]


@pytest.mark.parametrize("system", GANS)
def test_every_system_takes_them_by_an_override(system):
    """In the update of D's other terms or, where its papers or the user want it, in another one."""
    recipe, seen, _ = make(system, ON)
    d, g = jax.eval_shape(lambda: run(recipe, recipe.init(KEY, seen), seen)[1:])
    check_terms("g", g.losses, recipe.active)
    losses = [set(terms.losses) for terms in d]
    check_terms("d", set.union(*losses), recipe.active)
    apart = recipe.penalty_update == "own"
    assert len(losses) == 1 + apart and (losses[-1] == {"r1", "r2", "ma_gp"}) == apart


@pytest.mark.parametrize("system", GANS)
def test_every_system_is_told_by_damsm_whether_images_fit(system):
    """By the sentence; by the words, too, where the system reads them, and refused elsewhere."""
    weights = {"loss.g.damsm_sentence": 1.0, "loss.g.damsm_words": 1.0}
    recipe, seen, _ = make(system, weights)
    if recipe.reads == "sentence":
        seen = seen._replace(text=Text(seen.text.sentence))
        with pytest.raises(ValueError, match="damsm_words compares words, but this system reads"):
            recipe.check(seen)
        recipe, *_ = make(system, {**weights, "loss.g.damsm_words": 0.0})
    recipe.check(seen)
    with pytest.raises(ValueError, match="g.damsm_.* need a trained image encoder: set frozen.dam"):
        recipe.check(seen._replace(frozen={}))
    *_, g = jax.eval_shape(lambda: run(recipe, recipe.init(KEY, seen), seen))
    check_terms("g", g.losses, recipe.active)


@pytest.mark.parametrize("system", GANS)
def test_every_generator_is_held_to_draw_different_noise_differently(system):
    """The images of the same texts with the noise of the row before are compared with its own."""
    recipe, seen, _ = make(system, {"loss.g.mode_seeking": 1.0})

    def both(key):
        variables = recipe.init(KEY, seen)
        noise = recipe.noise(key, ROWS)
        out, state = recipe.make(variables["g"], seen, noise)
        rolled = {name: jnp.roll(x, 1, axis=0) for name, x in noise.items()}
        other, _ = recipe.generate(variables["g"], seen, rolled, True)
        _, alone = recipe.generate(variables["g"], seen, noise, True)
        terms = recipe.g_update(variables["d"], seen, out, KEY)
        flat = [noise[k].reshape(ROWS, -1) for k in sorted(recipe.noise_shapes)]
        z = jnp.concatenate(flat, axis=1)
        images = out["images"][-1], other["images"][-1]
        expected = mode_seeking(*images, z, jnp.roll(z, 1, axis=0))
        return terms.losses["mode_seeking"], expected, state, alone

    shapes = jax.eval_shape(both, KEY)
    assert shapes[0].shape == ()
    if system == "gan_int_cls":  # values where they compile in no time
        found, expected, state, alone = jax.jit(both)(KEY)
        close(found, expected)
        close(state, alone)


def by_hand(recipe, d_vars, seen, out):
    """The penalties as functions of slopes that are differentiated twice in reverse, each scale's D
    from its own image and the texts; and how much real beats fake, by the modules alone.
    """
    d, condition = recipe.discriminator, recipe.condition_of(seen, out)
    of = {"r1": recipe.real_images(seen), "r2": out["images"]}
    critic = recipe.critic(d_vars, KEY)

    def heads(images, condition):
        features = d.apply(d_vars, images, method="features", train=False)
        return d.apply(d_vars, features, condition, method="judge", train=False)

    def slopes(images, scale, kinds):
        def total(image, condition):
            whole = (*images[:scale], image, *images[scale + 1 :])
            found = heads(augmented(recipe, critic, whole), condition)
            return sum(jnp.sum(found[kind][scale]) for kind in kinds)

        return jax.grad(total, (0, 1))(images[scale], condition)

    def squares(slope):
        return sum(jnp.sum(x.reshape(ROWS, -1) ** 2, axis=1) for x in jax.tree.leaves(slope))

    scales = range(len(out["images"]))
    found = {
        name: sum(0.5 * jnp.mean(squares(slopes(images, i, (0, 1))[0])) for i in scales)
        for name, images in of.items()
    }
    fits = [[jnp.sqrt(squares(x)) for x in slopes(of["r1"], i, (0,))] for i in scales]
    return {**found, "ma_gp": sum(2 * jnp.mean(sum(norms) ** 6) for norms in fits)}


def by_how_much_real_beats_fake(recipe, d_vars, seen, out):
    """Losses of both players, from passes of the modules alone."""
    condition, logits = recipe.condition_of(seen, out), []
    critic = recipe.critic(d_vars, KEY)
    for images in (recipe.real_images(seen), out["images"]):
        images = augmented(recipe, critic, images)
        features, moved = apply_train(recipe.discriminator, d_vars, images, method="features")
        state = with_state(d_vars, moved)
        judged, _ = apply_train(recipe.discriminator, state, features, condition, method="judge")
        logits.append(jax.tree.leaves(judged))
    margins = [real - fake for real, fake in zip(*logits, strict=True)]
    return [sum(jnp.mean(jnp.log1p(jnp.exp(sign * x))) for x in margins) for sign in (-1, 1)]


@pytest.mark.parametrize("system", ["stack_gan_v2", "attn_gan"])
def test_all_together_are_those_computed_by_hand(system):
    """On top of mismatched pairs, in place of the other adversarial terms; with their gradients,
    in which the running statistics are constants.
    """
    recipe, seen, weights = make(system, {**ON, **WITHOUT[system]})
    assert "d.wrong" in weights and weights["d.r1"] == 0.5

    @jax.jit
    def compute():
        variables = recipe.init(KEY, seen)
        # Statistics of a D that has seen images, far from 0 and 1.
        _, moved = apply_train(
            recipe.discriminator, variables["d"], recipe.real_images(seen), method="features"
        )
        variables["d"] = with_state(variables["d"], moved)
        out, (d,), g = run(recipe, variables, seen)
        at = with_state(variables["d"], d.state)

        def found(params):
            losses = recipe.penalties({**at, "params": params}, seen, out, KEY).losses
            return sum(losses.values()), losses

        def expected(params):
            losses = by_hand(recipe, {**at, "params": params}, seen, out)
            return sum(losses.values()), losses

        slopes = [jax.grad(f, has_aux=True)(at["params"]) for f in (found, expected)]
        margins = by_how_much_real_beats_fake(recipe, variables["d"], seen, out)
        return d, g, *zip(*slopes, strict=True), margins

    d, g, grads, (found, expected), margins = compute()
    assert all(x > 0 for x in expected.values())
    close(found, expected, atol=1e-8)
    close({name: d.losses[name] for name in expected}, expected, atol=1e-8)
    close_gradients(*grads)
    close([d.losses["relativistic"], g.losses["relativistic"]], margins)
    assert {"accuracy_real", "accuracy_uncond_fake", "accuracy_wrong"} <= set(d.metrics)


def test_four_devices_compute_what_one_does():
    one_scale = {"generator.scales": 1, "generator.base_size": 16, "data.size": 16}
    recipe, seen, weights = make("stack_gan_v2", {**ON, **one_scale})
    seen = seen._replace(frozen={})  # all that is left has a row for every image
    variables = jax.jit(recipe.init)(KEY, seen)

    def results(recipe, variables, seen):
        def total(params):
            out, (d,), g = run(recipe, {**variables, "d": {**variables["d"], **params}}, seen)
            value = sum(weights[f"d.{name}"] * x for name, x in d.losses.items())
            return value, (d.losses, g.losses)

        found = jax.grad(total, has_aux=True)({"params": variables["d"]["params"]})
        return axis.mean(found, recipe.axis_name)

    whole = jax.jit(lambda *x: results(recipe, *x))
    grads, losses = whole(variables, seen)
    mesh = Mesh(jax.devices()[:4], "data")
    rows = jax.device_put(seen, NamedSharding(mesh, PartitionSpec("data")))
    bound = recipe.bind("data")
    split = jax.tree.map(lambda x: x.reshape(4, 2, *x.shape[1:]), seen)
    each = jax.pmap(lambda *x: results(bound, *x), "data", in_axes=(None, 0))(variables, split)
    for found_grads, found in (whole(variables, rows), jax.tree.map(lambda x: x[0], each)):
        close(found, losses, atol=1e-5)
        close_gradients(found_grads, grads)
