"""DAMSM's losses: the equations written out, masks, and devices (golden numbers: tests/parity)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.losses.contrastive import cosine_scores
from t2i_jax.losses.damsm import (
    attend,
    sentence_losses,
    word_losses,
    word_scores,
)
from t2i_jax.types import Text

B, T, N, E = 4, 5, 6, 3
LENGTHS = np.array([5, 1, 3, 2])


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    mask = np.arange(T) < LENGTHS[:, None]
    words = rng.normal(size=(B, T, E)).astype(np.float32) * mask[..., None]
    sentence, code = rng.normal(size=(2, B, E)).astype(np.float32)
    regions = rng.normal(size=(B, N, E)).astype(np.float32)
    return regions, code, Text(sentence, words, mask)


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def score(words, regions, gamma1, gamma2):
    """Equations (7) to (10) of one caption without padding and one image, in float64."""
    s = words.astype(float) @ regions.astype(float).T
    alpha = softmax(gamma1 * softmax(s, axis=0), axis=1)
    contexts = alpha @ regions
    norms = np.linalg.norm(contexts, axis=1) * np.linalg.norm(words, axis=1)
    cosines = (contexts * words).sum(axis=1) / norms
    return np.log(np.exp(gamma2 * cosines).sum()), alpha


def test_word_scores_by_their_equations(arrays):
    regions, _, text = arrays
    expected = np.array(
        [[score(text.words[j, : LENGTHS[j]], v, 3.0, 2.0)[0] for j in range(B)] for v in regions]
    )
    options = {"gamma1": 3.0, "gamma2": 2.0}
    released = word_scores(regions, text.words, text.mask, **options)
    np.testing.assert_allclose(released, expected, rtol=1e-4)
    paper = word_scores(regions, text.words, text.mask, form="paper", **options)
    np.testing.assert_allclose(paper, expected / 2.0, rtol=1e-4)


def test_attention_of_real_words(arrays):
    regions, _, text = arrays
    contexts, attention = attend(text.words, text.mask, regions, 3.0)
    for i, length in enumerate(LENGTHS):
        expected = score(text.words[i, :length], regions[i], 3.0, 2.0)[1]
        np.testing.assert_allclose(attention[i, :length], expected, rtol=1e-5)
        np.testing.assert_allclose(contexts[i, :length], expected @ regions[i], rtol=1e-4)


def test_padding_changes_no_score_and_gets_no_gradient(arrays):
    regions, _, text = arrays

    def total(words, mask):
        return jnp.sum(word_scores(regions, words, mask) ** 2)

    differentiate = jax.jit(jax.value_and_grad(total))
    value, grad = differentiate(text.words, text.mask)
    assert np.isfinite(grad).all() and not np.any(np.asarray(grad)[~text.mask])
    wider = np.concatenate([text.words, np.full((B, 2, E), 7.0, np.float32)], axis=1)
    mask = np.concatenate([text.mask, np.zeros((B, 2), bool)], axis=1)
    wide_value, wide_grad = differentiate(wider, mask)
    np.testing.assert_allclose(wide_value, value, rtol=1e-6)
    np.testing.assert_allclose(wide_grad[:, :T], grad, atol=1e-5)
    assert not np.any(wide_grad[:, T:])


def test_rows_of_one_class_are_never_negatives(arrays):
    regions, code, text = arrays
    for losses in (
        word_losses(regions, text, labels=jnp.zeros(B, jnp.int32)),
        sentence_losses(code, text.sentence, labels=jnp.zeros(B, jnp.int32)),
    ):
        np.testing.assert_allclose(losses, 0.0, atol=1e-6)
    pairs = jnp.array([0, 0, 1, 1])
    scores = np.asarray(cosine_scores(code, text.sentence), float) * 10.0
    allowed = (np.asarray(pairs)[:, None] != np.asarray(pairs)) | np.eye(B, dtype=bool)
    for found, s in zip(
        sentence_losses(code, text.sentence, labels=pairs), (scores, scores.T), strict=True
    ):
        e = np.where(allowed, np.exp(s), 0.0)
        np.testing.assert_allclose(found, -np.mean(np.log(np.diag(e) / e.sum(1))), rtol=1e-5)


def test_mean_over_devices_is_the_global_loss_and_gradient(arrays):
    regions, code, text = arrays
    labels = jnp.array([0, 1, 0, 2])

    def loss(regions, code, text, labels, axis_name=None):
        words = word_losses(regions, text, labels=labels, axis_name=axis_name)
        sentences = sentence_losses(code, text.sentence, labels=labels, axis_name=axis_name)
        terms = jnp.stack([*words, *sentences])
        return terms.sum(), terms

    differentiate = functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    (_, expected), grads = jax.jit(differentiate(loss))(regions, code, text, labels)
    local = differentiate(functools.partial(loss, axis_name="data"))
    rows = jax.tree.map(lambda x: x.reshape(2, 2, *x.shape[1:]), (regions, code, text, labels))
    (_, terms), parts = jax.pmap(local, axis_name="data")(*rows)
    np.testing.assert_allclose(terms.mean(axis=0), expected, rtol=1e-5)
    for part, grad in zip(parts, grads, strict=True):
        # A row's gradient is that of the sum over both devices.
        np.testing.assert_allclose(part.reshape(grad.shape) / 2, grad, rtol=1e-3, atol=1e-5)


def test_bfloat16_features_give_a_float32_loss(arrays):
    regions, _, text = arrays
    for loss in word_losses(jnp.bfloat16(regions), text):
        assert loss.dtype == jnp.float32


def test_bad_arguments_are_refused(arrays):
    regions, code, text = arrays
    with pytest.raises(ValueError, match="form must be one of 'released', 'paper', got 'code'"):
        word_scores(regions, text.words, text.mask, form="code")
    with pytest.raises(AssertionError):
        cosine_scores(code[:, :2], text.sentence)
