"""Contrastive losses: each query is to find its own candidate among those of the whole batch.

NT-Xent, the normalised temperature-scaled cross-entropy of SimCLR (Chen et al., ICML 2020, arXiv
2002.05709), as XMC-GAN takes it (Zhang et al., CVPR 2021, arXiv 2101.04702, section 3.2) to compare
images with sentences, images with images, and the regions of images with the words of captions.
DAMSM's losses (`t2i_jax.losses.damsm`) are of the same kind.

Under a per-device program a device has the rows of its own queries against the candidates of the
global batch, so that the mean of its losses over the devices is the global loss.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.choices import check_choice
from t2i_jax.models.layers import normalized
from t2i_jax.types import Text

TEMPERATURE = 0.1  # of the paper; the release divides the scores of words by 0.02
RHO1, RHO2 = 5.0, 5.0  # of the release

DIRECTIONS = ("image_to_text", "both")
Score = Callable[[Any, Any], jax.Array]  # (first, second) -> [I, J]

_SMALLEST_PRODUCT = 1e-8  # of two norms, below which a cosine is not one
_HIGHEST = jax.lax.Precision.HIGHEST


class Contrast(NamedTuple):
    """loss: a scalar. accuracy: the share of queries that find their own candidate, in 0..1."""

    loss: jax.Array
    accuracy: jax.Array


def nt_xent(
    score: Score,
    first: Any,
    second: Any,
    *,
    temperature: float = TEMPERATURE,
    directions: Literal["image_to_text", "both"] = "image_to_text",
    group: int = 0,
    axis_name: str | None = None,
) -> Contrast:
    """The loss of pairs, row by row of `first` and `second`: trees of arrays [B, ...].

    score: gives [I, J], how well I rows of `first` fit J rows of `second`.
    directions: "image_to_text", the paper's: `first` looks for its `second`. "both", the release's:
        and the other way round; the losses are added, the accuracies averaged.
    group: rows of the global batch that are compared with each other, in its order; 0: all. The
        release compares those of one device, 8.
    axis_name: see `t2i_jax.axis`.

    Raises ValueError for other directions, or where the batch is no multiple of the group.
    """
    check_choice("directions", directions, DIRECTIONS)
    rows = jax.tree.leaves(first)[0].shape[0]
    own, negatives = own_rows(rows, axis_name), None
    if group:
        total = rows * axis.size(axis_name)
        if total % group:
            raise ValueError(f"group={group}: a batch of {total} cannot be divided into groups")
        negatives = own[:, None] // group == jnp.arange(total) // group
    found = []
    for scores in both_ways(score, first, second, axis_name)[: DIRECTIONS.index(directions) + 1]:
        allowed = scores if negatives is None else jnp.where(negatives, scores, -jnp.inf)
        accuracy = jnp.mean((jnp.argmax(allowed, axis=1) == own).astype(jnp.float32))
        loss = matching_loss(scores, own, scale=1.0 / temperature, negatives=negatives)
        found.append(Contrast(loss, accuracy))
    return Contrast(sum(x.loss for x in found), sum(x.accuracy for x in found) / len(found))


def cosine_scores(a: jax.Array, b: jax.Array) -> jax.Array:
    """Cosines of vectors [I, E] and [J, E]: [I, J]; 0 with a gradient of 0 for a vector of 0."""
    chex.assert_rank([a, b], 2)
    chex.assert_equal_shape_suffix([a, b], 1)
    a, b = a.astype(jnp.float32), b.astype(jnp.float32)
    products = jnp.einsum("ie,je->ij", a, b, precision=_HIGHEST)
    return cosine(products, a[:, None], b[None])


def word_scores(
    regions: jax.Array, text: Text, *, rho1: float = RHO1, rho2: float = RHO2
) -> jax.Array:
    """How well the words of each caption are found in each image, [I, J], at most 1 + log(T)/rho2.

    Every word takes the mean of an image's regions, weighted by a softmax over them of `rho1` times
    their cosines with it. The score is the smooth maximum, over the words of the caption, of the
    word's cosine with that mean: the logarithm of the sum of ``exp(rho2 * cosine)``, by `rho2`.
    Regions have length 1 in the mean, as in the release.

    regions: [I, N, E]; text: words [J, T, E] and mask [J, T], True on real words. What stands at
        other positions does not matter, and may be 0; a caption without words scores log(T) / rho2.
    """
    words, mask = text.words, text.mask
    chex.assert_rank([regions, words, mask], [3, 3, 2])
    chex.assert_equal_shape_suffix([regions, words], 1)
    regions = normalized(regions.astype(jnp.float32))
    words = normalized(jnp.where(mask[..., None], words.astype(jnp.float32), 0.0))
    products = jnp.einsum("jte,ine->ijtn", words, regions, precision=_HIGHEST)
    attention = jax.nn.softmax(rho1 * products, axis=-1)
    contexts = jnp.einsum("ijtn,ine->ijte", attention, regions, precision=_HIGHEST)
    cosines = cosine(jnp.sum(attention * products, axis=-1), words[None], contexts)
    some = jnp.any(mask, axis=1)[None, :, None]
    logits = jnp.where(mask[None] | ~some, rho2 * cosines, -jnp.inf)
    return jax.nn.logsumexp(logits, axis=-1) / rho2


def cosine(products: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """Of vectors with these products; 0 with a gradient of 0 where one of them is 0."""
    return products / jnp.maximum(_norm(a) * _norm(b), _SMALLEST_PRODUCT)


def _norm(x: jax.Array) -> jax.Array:
    square = jnp.sum(jnp.square(x), axis=-1)
    return jnp.where(square > 0.0, jnp.sqrt(jnp.where(square > 0.0, square, 1.0)), 0.0)


def both_ways(
    score: Score, first: Any, second: Any, axis_name: str | None
) -> tuple[jax.Array, jax.Array]:
    """Scores [B, C] of this device's rows of `first` against all of `second`, and of its rows of
    `second` against all of `first`.
    """

    def everywhere(tree):
        return jax.tree.map(lambda x: axis.gather(x, axis_name), tree)

    forward = score(first, everywhere(second))
    if axis_name is None:  # all rows are here: the same scores
        return forward, forward.T
    return forward, score(everywhere(first), second).T


def own_rows(rows: int, axis_name: str | None) -> jax.Array:
    """The places of this device's rows in the global batch, [rows] int."""
    return axis.local(jnp.arange(rows * axis.size(axis_name)), axis_name)


def matching_loss(
    scores: jax.Array,
    own: jax.Array,
    *,
    scale: float = 1.0,
    negatives: jax.Array | None = None,
) -> jax.Array:
    """Cross-entropy of finding each query's own candidate by `scale` times the scores, a scalar.

    scores: [Q, C] of queries and candidates; own: [Q] int, index of each query's own candidate.
    negatives: [Q, C] bool, the candidates that are wrong for each query; by default all but its
        own. Clears candidates of the query's own class, which then do not take part.
    """
    chex.assert_rank([scores, own], [2, 1])
    logits = scale * scores
    if negatives is not None:
        chex.assert_equal_shape([scores, negatives])
        right = jnp.arange(scores.shape[1]) == own[:, None]
        logits = jnp.where(right | negatives, logits, -jnp.inf)
    log_likelihood = jnp.take_along_axis(jax.nn.log_softmax(logits), own[:, None], axis=1)
    return -jnp.mean(log_likelihood)
