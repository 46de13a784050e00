"""Penalties, the relativistic loss and DiffAugment in every GAN: closed forms of a linear D, slopes
by hand of StackGAN-v2 and AttnGAN, the same transforms for all pairs, devices.
"""

import dataclasses
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from recipes.gan_passes import close, close_gradients
from t2i_jax import axis, types
from t2i_jax import config as configs
from t2i_jax.losses.diff_augment import POLICIES
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.regularizers import augmented
from t2i_jax.recipes.terms import Judgement, Seen, Terms, apply_train, check_terms, with_state
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


class Linear(nn.Module):
    """Two scales of 4 and 8 px, each with a head that sees the text and one that does not. Its
    features are the images.
    """

    unconditional: bool = True
    axis_name: str | None = None

    def setup(self):
        normal = nn.initializers.normal(0.1)
        self.fits = [self.param(f"fits{s}", normal, (s, s, 3)) for s in (4, 8)]
        self.real = [self.param(f"real{s}", normal, (s, s, 3)) for s in (4, 8)]
        self.text = [self.param(f"text{s}", normal, (5,)) for s in (4, 8)]

    def judge(self, images, sentence, train):
        def score(kernels):
            pairs = zip(images, kernels, strict=True)
            return [jnp.sum(x * w, axis=(1, 2, 3)) for x, w in pairs]

        texts = [sentence @ w for w in self.text]
        fits = [a + b for a, b in zip(score(self.fits), texts, strict=True)]
        return tuple(fits), tuple(score(self.real)) if self.unconditional else ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearGan(GanRecipe):
    """With a linear D and without terms of its own."""

    generator: nn.Module = nn.Dense(1)
    discriminator: nn.Module = Linear()

    def features(self, d, images):
        return images

    def judge(self, d, features, condition, real=True):
        fits, uncond = d(features, condition, method="judge")
        return Judgement(fits, uncond if real else ())

    def d_terms(self, d_vars, seen, out, key):
        return Terms({name: jnp.zeros(()) for name in ("real", "fake") if self.on(f"d.{name}")})

    def g_terms(self, d_vars, seen, out, key, fakes=None):
        return Terms({})


IMAGES = numbers(1, ROWS, 4, 4, 3), numbers(2, ROWS, 8, 8, 3)
FAKES = numbers(3, ROWS, 4, 4, 3), numbers(4, ROWS, 8, 8, 3)
SEEN = Seen({types.IMAGES: IMAGES}, Text(numbers(5, ROWS, 5)))
D_VARS = Linear().init(KEY, IMAGES, SEEN.text.sentence, train=True, method="judge")
W = {name: np.asarray(w, np.float64) for name, w in D_VARS["params"].items()}


def linear(*active, **fields):
    return LinearGan(active=frozenset(active), **fields)


def norm(*arrays):
    return np.linalg.norm(sum(arrays))


@pytest.mark.parametrize("terms", ["relativistic", "real fake"])
def test_slopes_of_a_linear_d(terms):
    """The same at real and fake images: half the squared weights of every scale, whose heads are
    added; those without a term are left out.
    """
    active = [f"d.{name}" for name in ("r1", "r2", "ma_gp", *terms.split())]
    recipe = linear(*active, ma_gp_scale=3.0, ma_gp_exponent=2.0)
    losses = recipe.d_update(D_VARS, SEEN, {"images": FAKES}, KEY).losses
    heads = ("fits", "real") if terms == "relativistic" else ("fits",)
    r1 = sum(0.5 * norm(*(W[f"{head}{s}"] for head in heads)) ** 2 for s in (4, 8))
    ma_gp = sum(3 * (norm(W[f"fits{s}"]) + norm(W[f"text{s}"])) ** 2 for s in (4, 8))
    assert losses["r1"] == losses["r2"] == pytest.approx(r1, rel=1e-5)
    assert losses["ma_gp"] == pytest.approx(ma_gp, rel=1e-5)
    released = dataclasses.replace(recipe, ma_gp_form="released")
    ma_gp = sum(3 * (norm(W[f"fits{s}"]) ** 2 + norm(W[f"text{s}"]) ** 2) for s in (4, 8))
    losses = released.penalties(D_VARS, SEEN, {"images": FAKES}, KEY).losses
    assert losses["ma_gp"] == pytest.approx(ma_gp, rel=1e-5)


def test_penalties_may_have_an_update_of_their_own():
    recipe = linear("d.real", "d.r1", "d.ma_gp", penalty_update="own")
    both = [set(update(D_VARS, SEEN, {}, KEY).losses) for update in recipe.d_updates]
    assert both == [{"real"}, {"r1", "ma_gp"}]
    (only,) = linear("d.real", penalty_update="own").d_updates
    assert set(only(D_VARS, SEEN, {}, KEY).losses) == {"real"}


def test_the_relativistic_gradient_of_g_comes_through_the_fakes_alone():
    recipe = linear("g.relativistic")

    def loss(fakes, sentence):
        seen = SEEN._replace(text=Text(sentence))
        return recipe.g_update(D_VARS, seen, {"images": fakes}, KEY).losses["relativistic"]

    found = jax.grad(loss, (0, 1))(FAKES, SEEN.text.sentence)
    texts = np.zeros((ROWS, 5))
    for x, y, slope, s in zip(IMAGES, FAKES, found[0], (4, 8), strict=True):
        expected = np.zeros(x.shape)
        for head in ("fits", "real"):  # a real image's answer has the same text in it
            w = W[f"{head}{s}"]
            margin = np.sum((np.asarray(x, np.float64) - y) * w, axis=(1, 2, 3))
            share = 1 / (1 + np.exp(-margin)) / ROWS
            expected -= share[:, None, None, None] * w
            texts -= share[:, None] * W[f"text{s}"] if head == "fits" else 0
        np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found[1], texts, rtol=1e-4, atol=1e-7)


def test_all_that_one_key_shows_d_is_transformed_alike():
    recipe = linear(augment=POLICIES)
    d = recipe.critic(D_VARS, KEY)
    real, again = recipe.look(d, IMAGES), recipe.look(d.on_all_rows(), IMAGES)
    in_a_penalty = recipe.look(recipe.critic(D_VARS, KEY, train=False), IMAGES)
    for x, *others in zip(real, again, in_a_penalty, strict=True):
        for y in others:
            np.testing.assert_array_equal(x, y)
    # Row by row an affine map of its own: the same for other images, at every scale of its own.
    fakes, mixed = (recipe.look(d, x) for x in (FAKES, jax.tree.map(jnp.add, IMAGES, FAKES)))
    nothing = recipe.look(d, jax.tree.map(jnp.zeros_like, IMAGES))
    for x, y, z, zero in zip(real, fakes, mixed, nothing, strict=True):
        np.testing.assert_allclose(x + y - zero, z, atol=1e-5)
    one_picture = jnp.broadcast_to(IMAGES[0][:1], IMAGES[0].shape)
    (rows,) = recipe.look(d, (one_picture,))
    assert len(np.unique(np.asarray(rows).reshape(ROWS, -1), axis=0)) == ROWS
    other = recipe.look(recipe.critic(D_VARS, jax.random.key(4)), IMAGES)
    assert not np.array_equal(other[0], real[0])


def test_what_is_shown_is_not_transformed_and_terms_need_a_key():
    recipe = linear(augment=("color",))
    assert recipe.look(recipe.critic(D_VARS, train=False), IMAGES) is IMAGES
    assert linear().look(linear().critic(D_VARS), IMAGES) is IMAGES
    with pytest.raises(ValueError, match="test_regularizers: recipe.augment=.*critic.d_vars, key"):
        recipe.look(recipe.critic(D_VARS), IMAGES)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(augment=("colour",)), r"recipe.augment takes policies of .*, not \['colour'\]"),
        (dict(ma_gp_form="code"), "ma_gp_form must be one of .* got 'code'"),
        (dict(penalty_update="both"), "penalty_update must be one of .* got 'both'"),
    ],
)
def test_unknown_values_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        linear(**fields)


def test_without_text_there_is_no_matching_aware_penalty():
    recipe = linear("d.ma_gp")
    with pytest.raises(ValueError, match="sees none: set loss.d.ma_gp=0"):
        recipe.penalties(D_VARS, SEEN._replace(text=None), {"images": FAKES}, KEY)
