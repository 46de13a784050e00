"""Penalties, the relativistic loss and DiffAugment of a linear D: closed forms, the same transforms
for all pairs, what is refused. In the library's systems: test_regularized_systems.py.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax import types
from t2i_jax.losses.diff_augment import POLICIES
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.terms import Judgement, Seen, Terms
from t2i_jax.types import Text

ROWS, KEY = 8, jax.random.key(3)


def numbers(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape, minval=-1, maxval=1)


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


PAIRED = ("d.relativistic", "g.relativistic")


@pytest.mark.parametrize(
    ("active", "changes"),
    [
        (["d.relativistic"], "loss.g.relativistic=1"),
        (["g.relativistic", "d.wrong"], "loss.d.relativistic=1"),
        ([*PAIRED, "d.real", "g.fake", "g.kl"], "loss.d.real=0 loss.g.fake=0"),
        ([*PAIRED, "d.uncond_fake", "g.uncond_fake"], "loss.d.uncond_fake=0 loss.g.uncond_fake=0"),
        (["d.relativistic", "d.real", "g.fake"], "loss.g.relativistic=1 loss.d.real=0 .*fake=0"),
    ],
)
def test_the_relativistic_term_is_no_part_of_a_mixture(active, changes):
    with pytest.raises(ValueError, match=f"for both players, .*: set {changes}$"):
        linear(*active).check(SEEN)


@pytest.mark.parametrize("active", [[*PAIRED, "d.wrong", "d.r1", "g.kl"], ["d.real", "g.fake"]])
def test_a_mismatched_pair_and_slopes_may_stand_beside_it(active):
    linear(*active).check(SEEN)


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
        (dict(ma_gp_exponent=-1.0), "recipe.ma_gp_exponent=-1.0: must be above 0"),
    ],
)
def test_unknown_values_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        linear(**fields)


def test_without_text_there_is_no_matching_aware_penalty():
    recipe = linear("d.ma_gp")
    with pytest.raises(ValueError, match="sees none: set loss.d.ma_gp=0"):
        recipe.penalties(D_VARS, SEEN._replace(text=None), {"images": FAKES}, KEY)
