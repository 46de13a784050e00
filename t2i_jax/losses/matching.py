"""Losses that pull matching images and texts together and push the others apart.

Structured joint embedding: Reed et al., "Learning Deep Representations of Fine-grained Visual
Descriptions" (CVPR 2016), section 4. The compatibility of an image and a text is the dot product of
their vectors, neither of which is normalised.
"""

from typing import Literal

import chex
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice


def structured_joint_embedding(
    queries: jax.Array,
    candidates: jax.Array,
    labels: jax.Array,
    *,
    surrogate: Literal["max", "sum"] = "sum",
    margin: float = 1.0,
    negatives: jax.Array | None = None,
) -> jax.Array:
    """One direction of the structured joint embedding loss, a scalar.

    With images as queries and texts as candidates it is the paper's image-to-text term, and the
    other way round its text-to-image term; the symmetric objective (DS-SJE) is their sum, the
    asymmetric one (DA-SJE) the first alone. With two captions of each image it is the loss of the
    authors' COCO encoder.

    queries: [B, E]; candidates: [C, E]; labels: [B] int, index of each query's own candidate.
    surrogate: ``"sum"``, the authors' code: the hinges of all other candidates, divided by B * C
        (although only B * (C - 1) terms exist). ``"max"``, the paper's equation: the largest of
        (margin + score difference) over the other candidates, not below 0, averaged over the
        queries. With one sample a class the maximum follows the noise: see the recipe.
    negatives: [B, C] bool, the candidates that are wrong for each query; by default all but its
        own. Clears candidates of the query's own class; the divisor stays.

    Raises ValueError for an unknown surrogate, AssertionError for arrays of other shapes.
    """
    check_choice("surrogate", surrogate, ("max", "sum"))
    scores = _scores(queries, candidates, labels, negatives)
    own = jnp.take_along_axis(scores, labels[:, None], axis=1)
    wrong = jnp.arange(scores.shape[1]) != labels[:, None]
    if negatives is not None:
        wrong = wrong & negatives
    hinges = jnp.where(wrong, jax.nn.relu(margin + scores - own), 0.0)
    if surrogate == "max":
        return jnp.mean(jnp.max(hinges, axis=1))
    return jnp.sum(hinges) / scores.size


def matching_accuracy(
    queries: jax.Array,
    candidates: jax.Array,
    labels: jax.Array,
    *,
    negatives: jax.Array | None = None,
) -> jax.Array:
    """Percentage of the queries whose highest-scoring candidate is right.

    Arguments as in `structured_joint_embedding`; a candidate is right where it is the query's own
    or no negative.
    """
    best = jnp.argmax(_scores(queries, candidates, labels, negatives), axis=1)
    right = best == labels
    if negatives is not None:
        right = right | ~jnp.take_along_axis(negatives, best[:, None], axis=1)[:, 0]
    return 100.0 * jnp.mean(right.astype(jnp.float32))


def _scores(
    queries: jax.Array, candidates: jax.Array, labels: jax.Array, negatives: jax.Array | None
) -> jax.Array:
    """Dot products of queries and candidates in float32, [B, C], after a check of all shapes.

    In full precision, because the loss is a difference of scores.
    """
    chex.assert_rank([queries, candidates], 2)
    chex.assert_equal_shape([queries, candidates], dims=1)
    chex.assert_shape(labels, (len(queries),))
    if negatives is not None:
        chex.assert_shape(negatives, (len(queries), len(candidates)))
    return jnp.einsum(
        "be,ce->bc",
        queries.astype(jnp.float32),
        candidates.astype(jnp.float32),
        precision=jax.lax.Precision.HIGHEST,
    )
