"""Terms by which any generator is told, by the trained image encoder of a DAMSM, whether its images
fit their captions (AttnGAN, Xu et al., CVPR 2018, section 3.2).

G's terms, of its largest images
    damsm_words     does an image find its caption, and a caption its image, word by word
    damsm_sentence  the same by image code and sentence vector

AttnGAN and its relatives weigh them with lambda; for other systems they are 0 unless the config
says so. The text encoder of the run must be the DAMSM's own, for both were trained together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jax import lax

from t2i_jax import types
from t2i_jax.losses.damsm import sentence_losses, word_losses
from t2i_jax.recipes.terms import Losses, Seen

if TYPE_CHECKING:
    from t2i_jax.recipes.base import GanRecipe

TERMS = ("damsm_words", "damsm_sentence")


def check(recipe: GanRecipe, seen: Seen) -> None:
    """Raises ValueError where a weighted term lacks the image encoder, or the words."""
    asked = [name for name in TERMS if recipe.on(f"g.{name}")]
    if asked and "damsm" not in seen.frozen:
        raise ValueError(
            "the terms g.damsm_* need a trained image encoder: set frozen.damsm to a run of "
            "the config damsm, or their weights (loss.g.damsm_words, loss.g.damsm_sentence) to 0"
        )
    if "damsm_words" in asked and (seen.text is None or seen.text.words is None):
        raise ValueError(
            "the term g.damsm_words compares words, but this system reads sentences: set "
            "loss.g.damsm_words=0; loss.g.damsm_sentence does without words"
        )
    if asked and seen.text is not None:
        text, image = seen.text.sentence.shape[-1], getattr(recipe.damsm, "embedding", None)
        if image not in (None, text):
            raise ValueError(
                f"the terms g.damsm_* compare vectors of the text encoder, of size {text}, with "
                f"those of frozen.damsm, of size {image}: that was trained with another text "
                "encoder. Set loss.g.damsm_words=0 and loss.g.damsm_sentence=0, or encoder.source "
                "to the DAMSM's own run"
            )


def damsm_terms(recipe: GanRecipe, seen: Seen, out: Mapping[str, Any]) -> Losses:
    """How well the frozen image encoder matches the largest images with their captions."""
    ask = {name: recipe.on(f"g.{name}") for name in TERMS}
    if not any(ask.values()):
        return {}
    text = lax.stop_gradient(seen.text)
    found = recipe.damsm.apply(seen.frozen["damsm"], out["images"][-1], train=False)
    labels = seen.batch.get(types.LABEL)
    common = {"labels": labels, "gamma3": recipe.gamma3, "axis_name": recipe.axis_name}
    losses = {}
    if ask["damsm_words"]:
        factors = {"gamma1": recipe.gamma1, "gamma2": recipe.gamma2, "form": recipe.damsm_form}
        losses["damsm_words"] = sum(word_losses(found.regions, text, **factors, **common))
    if ask["damsm_sentence"]:
        losses["damsm_sentence"] = sum(sentence_losses(found.code, text.sentence, **common))
    return losses
