"""The term by which any generator is held to draw different noise differently.

Mao et al., "Mode Seeking Generative Adversarial Networks for Diverse Image Synthesis" (CVPR 2019,
arXiv 1903.05628), equation 4. G draws the batch's texts once more, each with the noise of the row
before; D does not see these images.

G's term
    mode_seeking    the distance of the two rows' noise by that of their images
                    (`losses.regularizers.mode_seeking`)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.losses.regularizers import mode_seeking
from t2i_jax.recipes.terms import Losses, Seen, Variables

if TYPE_CHECKING:
    from t2i_jax.recipes.base import GanRecipe

TERMS = ("mode_seeking",)
_AGAIN = "drawn_again"  # of G's outputs


def drawn_again(
    recipe: GanRecipe, g_vars: Variables, seen: Seen, noise: Mapping[str, jax.Array]
) -> dict[str, Any]:
    """What `mode_seeking_term` compares, for G's outputs; empty where that has no weight."""
    if not recipe.on("g.mode_seeking"):
        return {}
    # Noise that only a training has is not among these.
    own = [noise[name] for name in sorted(recipe.noise_shapes)]
    flat = jnp.concatenate([x.reshape(x.shape[0], -1) for x in own], axis=1)
    other = {name: axis.roll(x, 1, recipe.axis_name) for name, x in noise.items()}
    out, _ = recipe.generate(g_vars, seen, other, train=True)
    return {_AGAIN: (out["images"][-1], flat, axis.roll(flat, 1, recipe.axis_name))}


def mode_seeking_term(recipe: GanRecipe, out: Mapping[str, Any]) -> Losses:
    """The term, if it has a weight."""
    if not recipe.on("g.mode_seeking"):
        return {}
    again, noise, other = out[_AGAIN]
    return {"mode_seeking": mode_seeking(out["images"][-1], again, noise, other)}
