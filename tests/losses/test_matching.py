"""Structured joint embedding against its definition written out (golden numbers: tests/parity)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.losses.matching import matching_accuracy, structured_joint_embedding


@pytest.fixture
def features():
    rng = np.random.default_rng(3)
    queries = rng.normal(size=(5, 8)).astype(np.float32)
    candidates = rng.normal(size=(7, 8)).astype(np.float32)
    return queries, candidates, np.array([6, 0, 3, 3, 2])


def hinges(queries, candidates, labels, margin, wrong):
    """Row by row, [B][C]: the hinge of every wrong candidate, 0 elsewhere."""
    table = np.zeros((len(queries), len(candidates)))
    for i, y in enumerate(labels):
        for j in range(len(candidates)):
            if j != y and wrong[i, j]:
                score = queries[i].astype(float) @ (candidates[j] - candidates[y]).astype(float)
                table[i, j] = max(0.0, margin + score)
    return table


@pytest.mark.parametrize("margin", [1.0, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_both_surrogates_by_their_definition(features, margin, masked):
    queries, candidates, labels = features
    negatives = np.random.default_rng(4).random((5, 7)) < 0.6 if masked else None
    table = hinges(
        queries, candidates, labels, margin, np.ones((5, 7)) if negatives is None else negatives
    )
    for surrogate, wanted in (("sum", table.sum() / 35), ("max", table.max(1).mean())):
        loss = structured_joint_embedding(
            queries, candidates, labels, surrogate=surrogate, margin=margin, negatives=negatives
        )
        np.testing.assert_allclose(loss, wanted, rtol=1e-5)


def test_gradient_of_the_maximum_is_that_of_the_worst_class(features):
    queries, candidates, labels = features
    loss = functools.partial(structured_joint_embedding, surrogate="max")
    gradient = jax.grad(loss)(queries, candidates, labels)
    worst = hinges(queries, candidates, labels, 1.0, np.ones((5, 7))).argmax(1)
    # d/dq max_j (1 + q.(c_j - c_y)) = c_worst - c_y, averaged over 5 queries.
    np.testing.assert_allclose(gradient, (candidates[worst] - candidates[labels]) / 5, rtol=1e-5)


@pytest.mark.parametrize("surrogate", ["max", "sum"])
def test_well_separated_pairs_cost_nothing(surrogate):
    vectors = 2.0 * np.eye(4, dtype=np.float32)
    labels = np.arange(4)
    assert structured_joint_embedding(vectors, vectors, labels, surrogate=surrogate) == 0.0
    assert matching_accuracy(vectors, vectors, labels) == 100.0


def test_accuracy_counts_own_class():
    queries = jnp.eye(4)
    candidates = jnp.eye(4)[np.array([1, 0, 2, 2])]
    labels = np.arange(4)
    assert matching_accuracy(queries, candidates, labels) == 25.0
    classes = np.array([0, 0, 1, 2])  # the first two are of one class: either is right
    negatives = classes[:, None] != classes
    assert matching_accuracy(queries, candidates, labels, negatives=negatives) == 75.0


def test_bfloat16_features_give_a_float32_loss(features):
    queries, candidates, labels = features
    loss = structured_joint_embedding(queries.astype(jnp.bfloat16), candidates, labels)
    assert loss.dtype == jnp.float32


def test_what_does_not_fit_is_refused(features):
    queries, candidates, labels = features
    for loss in (structured_joint_embedding, matching_accuracy):
        with pytest.raises(AssertionError, match="dims 1"):
            loss(queries, candidates[:, :-1], labels)
        with pytest.raises(AssertionError, match="shape"):
            loss(queries, candidates, labels[:-1])
        with pytest.raises(AssertionError, match="shape"):
            loss(queries, candidates, labels, negatives=np.ones((7, 5), bool))
    with pytest.raises(ValueError, match="'mean'"):
        structured_joint_embedding(jnp.eye(2), jnp.eye(2), jnp.arange(2), surrogate="mean")
