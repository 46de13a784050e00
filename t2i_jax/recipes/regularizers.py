"""What holds back the discriminator of any GAN: terms that the config weighs, 0 unless it says so.

D's terms                                             G's terms
    r1            slope of D at real images               relativistic
    r2            slope of D at fake ones
    ma_gp         slope of D at real images with
                  their texts, in both
    relativistic  by how much real beats fake

r1, r2 (Mescheder et al., arXiv 1801.04406) and ma_gp (DF-GAN, arXiv 2008.05865) are summed over D's
scales, whose heads' logits are added first; ma_gp asks only the heads that see the text. Inside of
a penalty D is as in evaluation: batch norms take the running statistics, which are constants, so
that no logit depends on another sample, and nothing is drawn. DiffAugment stands between the images
and D here too, and the slopes are those in the images before it, as in the release of DiffAugment.

relativistic (R3GAN, arXiv 2501.05441, equation 1) compares each row's real pair with its fake one,
in every head of every scale, summed. Both players have it, in the place of the terms real, fake,
uncond_real and uncond_fake, whose weights must be 0; a mismatched pair ("wrong") may stay. It looks
at its pairs in passes of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax.choices import check_choice
from t2i_jax.losses import gradient_penalties, relativistic
from t2i_jax.losses.diff_augment import POLICIES, diff_augment
from t2i_jax.recipes.terms import (
    Judgement,
    Losses,
    Net,
    Seen,
    Terms,
    Variables,
    accuracies,
    with_state,
)

if TYPE_CHECKING:
    from t2i_jax.recipes.base import GanRecipe

PENALTIES = ("r1", "r2", "ma_gp")
TERMS = {"d": (*PENALTIES, "relativistic"), "g": ("relativistic",)}

# What the relativistic term takes the place of, by player.
_REPLACED = {"d": ("real", "fake", "uncond_real", "uncond_fake"), "g": ("fake", "uncond_fake")}
_CHOICES = {"penalty_update": ("shared", "own"), "ma_gp_form": ("paper", "released")}
_AUGMENT = 2**32 - 1  # folded into the key of D's terms, of which recipes draw with small numbers


def check_fields(recipe: GanRecipe) -> None:
    """Raises ValueError for values of `GanRecipe`'s own fields that nothing here knows."""
    for name, choices in _CHOICES.items():
        check_choice(name, getattr(recipe, name), choices)
    if not recipe.ma_gp_exponent > 0:
        raise ValueError(f"recipe.ma_gp_exponent={recipe.ma_gp_exponent}: must be above 0")
    if unknown := sorted(set(recipe.augment) - set(POLICIES)):
        raise ValueError(f"recipe.augment takes policies of {POLICIES}, not {unknown}")


def check(recipe: GanRecipe) -> None:
    """Raises ValueError where one player alone has the relativistic term, or has it beside terms
    that it replaces.
    """
    lacking = [player for player in _REPLACED if not recipe.on(f"{player}.relativistic")]
    if len(lacking) == len(_REPLACED):
        return
    named = [(player, name) for player, names in _REPLACED.items() for name in names]
    changes = [f"loss.{player}.relativistic=1" for player in lacking]
    changes += [f"loss.{p}.{name}=0" for p, name in named if recipe.on(f"{p}.{name}")]
    if changes:
        raise ValueError(
            "the term relativistic is for both players, in the place of their other adversarial "
            f"terms: set {' '.join(changes)}"
        )


def augmented(recipe: GanRecipe, d: Net, images: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    """What D sees of images: each with a transform of its own, the same for a row at every scale
    and in every kind of pair. Without a key, as where samples are looked at, images as they are.

    Raises ValueError where the terms of a recipe make their D without a key.
    """
    if not recipe.augment or (d.key is None and not d.train):
        return images
    if d.key is None:
        raise ValueError(
            f"{type(recipe).__module__}: recipe.augment={recipe.augment} needs a key: the terms "
            "make D by critic(d_vars, key)"
        )
    key = jax.random.fold_in(d.key, _AUGMENT)
    return tuple(diff_augment(x, key, recipe.augment, recipe.axis_name) for x in images)


def penalties(
    recipe: GanRecipe, d_vars: Variables, seen: Seen, out: Mapping[str, Any], key: jax.Array
) -> Losses:
    """The weighted penalties on D. ValueError where ma_gp meets a D that sees no text.

    key: of D's other terms, whose augmentation the penalties share.
    """
    if not any(recipe.on(f"d.{name}") for name in PENALTIES):
        return {}
    d = recipe.critic(d_vars, key, train=False)
    out = lax.stop_gradient(dict(out))
    fits, unconditional = _trained_heads(recipe)
    condition = lax.stop_gradient(recipe.condition_of(seen, out))

    def logits(images, condition):
        return _logits(recipe.discriminate(d, images, condition, real=unconditional))

    found = {}
    shown = {"r1": lambda: recipe.real_images(seen), "r2": lambda: recipe.fakes_for_d(out)}
    for name, images in shown.items():
        if recipe.on(f"d.{name}"):
            given = condition if fits else None
            found[name] = gradient_penalties.zero_centred(logits, images(), given)
    if recipe.on("d.ma_gp"):
        found["ma_gp"] = _matching_aware(recipe, d, recipe.real_images(seen), condition)
    return found


def _trained_heads(recipe: GanRecipe) -> tuple[bool, bool]:
    """Which of D's heads some term trains: those that see the text, those that do not."""
    fits = any(recipe.on(f"d.{kind}") for kind in ("real", "wrong", "fake"))
    real = any(recipe.on(f"d.uncond_{kind}") for kind in ("real", "wrong", "fake"))
    if recipe.on("d.relativistic") or not (fits or real):
        return True, True
    return fits, real


def _logits(judgement: Judgement) -> tuple[jax.Array, ...]:
    """One array a scale, [B]: the sum of its heads."""
    kinds = [kind for kind in (judgement.fits, judgement.real) if kind]
    return tuple(sum(heads) for heads in zip(*kinds, strict=True))


def _matching_aware(recipe: GanRecipe, d: Net, images, condition) -> jax.Array:
    if condition is None:
        raise ValueError(
            "the term d.ma_gp differentiates D in the text, but this model sees none: set "
            "loss.d.ma_gp=0; loss.d.r1 does without text"
        )

    def fits(images, condition):
        return recipe.discriminate(d, images, condition, real=False).fits

    def of_scale(i):
        return gradient_penalties.matching_aware(
            lambda *pair: fits(*pair)[i],
            images,
            condition,
            scale=recipe.ma_gp_scale,
            exponent=recipe.ma_gp_exponent,
            form=recipe.ma_gp_form,
        )

    scales = len(jax.eval_shape(fits, images, condition))
    return sum(of_scale(i) for i in range(scales))


def with_relativistic(
    recipe: GanRecipe,
    player: str,
    terms: Terms,
    d_vars: Variables,
    seen: Seen,
    out: Mapping[str, Any],
    key: jax.Array,
) -> Terms:
    """The player's terms, with the relativistic one if it is weighted.

    In G's term D's answers about the real images are constants.
    """
    if not recipe.on(f"{player}.relativistic"):
        return terms
    d = recipe.critic(with_state(d_vars, terms.state), key)
    condition = recipe.condition_of(seen, out)
    real = recipe.discriminate(d, recipe.real_images(seen), condition)
    fakes = recipe.fakes_for_d(out) if player == "d" else out["images"]
    fake = recipe.discriminate(d, fakes, condition)
    metrics = {}
    if player == "d":
        loss, metrics = _pairing(real, fake), accuracies({"real": real, "fake": fake})
    else:
        loss = _pairing(fake, lax.stop_gradient(real))
    return terms.replace(
        losses={**terms.losses, "relativistic": loss},
        metrics={**metrics, **terms.metrics},
        state={**terms.state, **d.state},
    )


def _pairing(preferred: Judgement, other: Judgement) -> jax.Array:
    """Over all heads of all scales, summed."""
    pairs = zip((*preferred.fits, *preferred.real), (*other.fits, *other.real), strict=True)
    return sum(jnp.mean(relativistic.pairing(*pair)) for pair in pairs)
