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
from t2i_jax.types import Text

GAMMA1, GAMMA2, GAMMA3 = 4.0, 5.0, 10.0  # of the authors' configurations; the paper's first is 5
_SMALLEST_PRODUCT = 1e-8  # of two norms, below which a cosine is not one
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
    if form not in ("released", "paper"):
        raise ValueError(f"form must be 'released' or 'paper', not {form!r}")
    regions, words = regions.astype(jnp.float32), words.astype(jnp.float32)
    contexts, _ = attend(words[None], mask[None], regions[:, None], gamma1)
    products = jnp.einsum("jte,ijte->ijt", words, contexts, precision=_HIGHEST)
    cosines = _cosine(products, words[None], contexts)
    scores = jax.nn.logsumexp(jnp.where(mask[None], gamma2 * cosines, -jnp.inf), axis=-1)
    return scores / gamma2 if form == "paper" else scores


def sentence_scores(codes: jax.Array, sentences: jax.Array) -> jax.Array:
    """Cosines of image codes [I, E] and sentence vectors [J, E]: [I, J]."""
    chex.assert_rank([codes, sentences], 2)
    chex.assert_equal_shape_suffix([codes, sentences], 1)
    codes, sentences = codes.astype(jnp.float32), sentences.astype(jnp.float32)
    products = jnp.einsum("ie,je->ij", codes, sentences, precision=_HIGHEST)
    return _cosine(products, codes[:, None], sentences[None])


def _cosine(products: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """Of vectors with these products; 0 with a gradient of 0 where one of them is 0."""
    return products / jnp.maximum(_norm(a) * _norm(b), _SMALLEST_PRODUCT)


def _norm(x: jax.Array) -> jax.Array:
    square = jnp.sum(jnp.square(x), axis=-1)
    return jnp.where(square > 0.0, jnp.sqrt(jnp.where(square > 0.0, square, 1.0)), 0.0)


def matching_loss(
    scores: jax.Array,
    own: jax.Array,
    *,
    gamma3: float = GAMMA3,
    negatives: jax.Array | None = None,
) -> jax.Array:
    """Cross-entropy of finding each query's own candidate, equations (11) to (13), a scalar.

    scores: [Q, C] of queries and candidates; own: [Q] int, index of each query's own candidate.
    negatives: [Q, C] bool, the candidates that are wrong for each query; by default all but its
        own. Clears candidates of the query's own class, which then do not take part.
    """
    chex.assert_rank([scores, own], [2, 1])
    logits = gamma3 * scores
    if negatives is not None:
        chex.assert_equal_shape([scores, negatives])
        right = jnp.arange(scores.shape[1]) == own[:, None]
        logits = jnp.where(right | negatives, logits, -jnp.inf)
    log_likelihood = jnp.take_along_axis(jax.nn.log_softmax(logits), own[:, None], axis=1)
    return -jnp.mean(log_likelihood)


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
    own, negatives = _targets(regions.shape[0], labels, axis_name)
    options = {"gamma1": gamma1, "gamma2": gamma2, "form": form}

    def everywhere(x):
        return axis.gather(x, axis_name)

    by_image = word_scores(regions, everywhere(text.words), everywhere(text.mask), **options)
    if axis_name is None:  # every image and every caption is here: the same scores
        by_caption = by_image.T
    else:
        by_caption = word_scores(everywhere(regions), text.words, text.mask, **options).T
    return (
        matching_loss(by_image, own, gamma3=gamma3, negatives=negatives),
        matching_loss(by_caption, own, gamma3=gamma3, negatives=negatives),
    )


def sentence_losses(
    codes: jax.Array,
    sentences: jax.Array,
    *,
    labels: jax.Array | None = None,
    gamma3: float = GAMMA3,
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array]:
    """(sentences by images, images by sentences), as `word_losses`, of vectors [B, E] each."""
    own, negatives = _targets(codes.shape[0], labels, axis_name)
    by_image = sentence_scores(codes, axis.gather(sentences, axis_name))
    by_sentence = sentence_scores(axis.gather(codes, axis_name), sentences).T
    return (
        matching_loss(by_image, own, gamma3=gamma3, negatives=negatives),
        matching_loss(by_sentence, own, gamma3=gamma3, negatives=negatives),
    )


def _targets(
    rows: int, labels: jax.Array | None, axis_name: str | None
) -> tuple[jax.Array, jax.Array | None]:
    """The place of this device's rows in the global batch, and which of it are their negatives."""
    own = axis.local(jnp.arange(rows * axis.size(axis_name)), axis_name)
    if labels is None:
        return own, None
    return own, labels[:, None] != axis.gather(labels, axis_name)
