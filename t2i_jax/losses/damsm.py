"""The losses of DAMSM, the deep attentional multimodal similarity model: AttnGAN, Xu et al. (CVPR
2018, arXiv 1711.10485), section 3.2, equations (7) to (13).

Every image of a batch is compared with every caption, word by word with its regions and as a whole
with the sentence; an image is to be found by its caption among the others and a caption by its
image. Under a per-device program a device has the rows of its own queries against the candidates
of the global batch, so that the mean of its losses over the devices is the global loss.
"""

from typing import Literal

import chex
import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.choices import check_choice
from t2i_jax.losses.contrastive import both_ways, cosine, cosine_scores, matching_loss, own_rows
from t2i_jax.types import Text

GAMMA1, GAMMA2, GAMMA3 = 4.0, 5.0, 10.0  # of the authors' configurations; the paper's first is 5
_HIGHEST = jax.lax.Precision.HIGHEST


def attend(
    words: jax.Array, mask: jax.Array, regions: jax.Array, gamma1: float = GAMMA1
) -> tuple[jax.Array, jax.Array]:
    """What each word finds in an image, equations (7) to (9): (contexts [..., T, E], attention
    [..., T, N]). Leading axes are broadcast.

    Products of words and regions are normalised over the words of the caption for each region, then
    times `gamma1` over the regions for each word.

    words: [..., T, E]; mask: [..., T] True on words, one a caption at least; regions: [..., N, E].
    """
    products = jnp.einsum("...te,...ne->...tn", words, regions, precision=_HIGHEST)
    products = jnp.where(mask[..., None], products, -jnp.inf)
    attention = jax.nn.softmax(gamma1 * jax.nn.softmax(products, axis=-2), axis=-1)
    return jnp.einsum("...tn,...ne->...te", attention, regions, precision=_HIGHEST), attention


def word_scores(
    regions: jax.Array,
    words: jax.Array,
    mask: jax.Array,
    *,
    gamma1: float = GAMMA1,
    gamma2: float = GAMMA2,
    form: Literal["released", "paper"] = "released",
) -> jax.Array:
    """How well the words of each caption are found in each image, [I, J]: equation (10).

    The logarithm of the sum over words of ``exp(gamma2 * cosine(word, context))``.

    regions: [I, N, E]; words: [J, T, E]; mask: [J, T] True on words, one a caption at least: the
        scores of a caption without words are minus infinity.
    form: ``"paper"`` divides by `gamma2`, ``"released"`` does not, as all published encoders were
        trained: with the same `gamma3` its scores are `gamma2` times as large.

    Raises ValueError for another form.
    """
    chex.assert_rank([regions, words, mask], [3, 3, 2])
    chex.assert_equal_shape_suffix([regions, words], 1)
    check_choice("form", form, ("released", "paper"))
    regions, words = regions.astype(jnp.float32), words.astype(jnp.float32)
    contexts, _ = attend(words[None], mask[None], regions[:, None], gamma1)
    products = jnp.einsum("jte,ijte->ijt", words, contexts, precision=_HIGHEST)
    cosines = cosine(products, words[None], contexts)
    scores = jax.nn.logsumexp(jnp.where(mask[None], gamma2 * cosines, -jnp.inf), axis=-1)
    return scores / gamma2 if form == "paper" else scores


def word_losses(
    regions: jax.Array,
    text: Text,
    *,
    labels: jax.Array | None = None,
    gamma1: float = GAMMA1,
    gamma2: float = GAMMA2,
    gamma3: float = GAMMA3,
    form: Literal["released", "paper"] = "released",
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array]:
    """(captions by images, images by captions) for the rows of this device: the paper's two word
    losses, the mean over the batch in place of its sum.

    regions: [B, N, E]; text: words [B, T, E] and mask [B, T] of the captions of the same rows.
    labels: [B] int classes, of which two rows with the same are never each other's negatives; None
        where every row is a class of its own.
    form: see `word_scores`. axis_name: see `t2i_jax.axis`.
    """

    def score(regions, captions):
        return word_scores(regions, *captions, gamma1=gamma1, gamma2=gamma2, form=form)

    scores = both_ways(score, regions, (text.words, text.mask), axis_name)
    return _losses(scores, labels, gamma3, axis_name)


def sentence_losses(
    codes: jax.Array,
    sentences: jax.Array,
    *,
    labels: jax.Array | None = None,
    gamma3: float = GAMMA3,
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array]:
    """(sentences by images, images by sentences), as `word_losses`, of vectors [B, E] each."""
    scores = both_ways(cosine_scores, codes, sentences, axis_name)
    return _losses(scores, labels, gamma3, axis_name)


def _losses(
    scores: tuple[jax.Array, jax.Array],
    labels: jax.Array | None,
    gamma3: float,
    axis_name: str | None,
) -> tuple[jax.Array, jax.Array]:
    """Of scores as `both_ways` gives them; rows with the same label are no negatives."""
    own, negatives = own_rows(len(scores[0]), axis_name), None
    if labels is not None:
        negatives = labels[:, None] != axis.gather(labels, axis_name)
    by_image, by_text = (matching_loss(x, own, scale=gamma3, negatives=negatives) for x in scores)
    return by_image, by_text
