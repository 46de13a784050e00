"""NT-Xent: closed forms, both directions, groups, masks, devices (golden numbers: tests/parity)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from t2i_jax.losses.contrastive import (
    Contrast,
    cosine_scores,
    matching_loss,
    nt_xent,
    word_scores,
)
from t2i_jax.types import Text

B, T, N, E = 8, 5, 6, 4
LENGTHS = np.array([5, 1, 3, 2, 4, 5, 1, 2])


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    mask = np.arange(T) < LENGTHS[:, None]
    words = rng.normal(size=(B, T, E)).astype(np.float32)
    regions = rng.normal(size=(B, N, E)).astype(np.float32)
    codes, sentence = rng.normal(size=(2, B, E)).astype(np.float32)
    return regions, codes, Text(sentence, words, mask)


def test_cosine_scores_are_cosines_also_of_zero():
    codes = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    sentences = np.array([[4.0, 3.0], [-6.0, -8.0]], np.float32)
    scores, pull = jax.vjp(cosine_scores, codes, sentences)
    np.testing.assert_allclose(scores, [[0.96, -1.0], [0.0, 0.0]], atol=1e-6)
    assert all(np.isfinite(grad).all() for grad in pull(jnp.ones((2, 2))))


def test_matching_loss_in_closed_form():
    """Equal scores: the logarithm of how many candidates take part."""
    scores, own = jnp.full((2, 4), 0.3), jnp.array([2, 0])
    np.testing.assert_allclose(matching_loss(scores, own), np.log(4), rtol=1e-6)
    negatives = np.array([[True, False, False, False], [False, True, True, False]])
    wanted = (np.log(2) + np.log(3)) / 2  # one's own always takes part
    np.testing.assert_allclose(matching_loss(scores, own, negatives=negatives), wanted, rtol=1e-6)
    won = matching_loss(scores.at[0, 2].add(1.0).at[1, 0].add(1.0), own, scale=2.0)
    np.testing.assert_allclose(won, np.log(1 + 3 * np.exp(-2.0)), rtol=1e-6)


def test_equal_pairs_give_the_logarithm_of_the_batch_and_parallel_ones_a_closed_form():
    same = np.ones((B, E), np.float32)
    both = functools.partial(nt_xent, cosine_scores, directions="both")
    np.testing.assert_allclose(both(same, same).loss, 2 * np.log(B), rtol=1e-6)
    axes = np.eye(4, dtype=np.float32)
    found = nt_xent(cosine_scores, 3.0 * axes, 0.2 * axes, temperature=0.5)
    np.testing.assert_allclose(found.loss, np.log(1 + 3 * np.exp(-2.0)), rtol=1e-6)
    assert found.accuracy == 1.0
    assert nt_xent(cosine_scores, axes, np.roll(axes, 1, axis=0)).accuracy == 0.0


def test_directions_are_those_of_cross_entropy(arrays):
    """Of another library, on rows and on columns."""
    _, codes, text = arrays
    logits = np.asarray(cosine_scores(codes, text.sentence)) / 0.2
    rows = optax.softmax_cross_entropy_with_integer_labels(logits, np.arange(B)).mean()
    columns = optax.softmax_cross_entropy_with_integer_labels(logits.T, np.arange(B)).mean()
    hits = [np.mean(x.argmax(1) == np.arange(B)) for x in (logits, logits.T)]
    one = nt_xent(cosine_scores, codes, text.sentence, temperature=0.2)
    two = nt_xent(cosine_scores, codes, text.sentence, temperature=0.2, directions="both")
    np.testing.assert_allclose(one, (rows, hits[0]), rtol=1e-5)
    np.testing.assert_allclose(two, (rows + columns, np.mean(hits)), rtol=1e-5)


def test_a_group_is_a_batch_of_its_own(arrays):
    _, codes, text = arrays
    found = nt_xent(cosine_scores, codes, text.sentence, directions="both", group=4)
    parts = [
        nt_xent(cosine_scores, codes[rows], text.sentence[rows], directions="both")
        for rows in (slice(0, 4), slice(4, 8))
    ]
    np.testing.assert_allclose(found, np.mean(parts, axis=0), rtol=1e-5)
    with pytest.raises(ValueError, match="group=3: a batch of 8 cannot be divided"):
        nt_xent(cosine_scores, codes, text.sentence, group=3)


def test_word_scores_by_their_equations(arrays):
    """In float64, word by word."""
    regions, _, text = arrays
    expected = np.zeros((B, B))
    for i, r in enumerate(regions.astype(float)):
        r /= np.linalg.norm(r, axis=1, keepdims=True)
        for j, length in enumerate(LENGTHS):
            total = 0.0
            for w in text.words[j, :length].astype(float):
                e = np.exp(2.0 * r @ w / np.linalg.norm(w))
                c = e @ r / e.sum()
                total += np.exp(3.0 * w @ c / np.linalg.norm(w) / np.linalg.norm(c))
            expected[i, j] = np.log(total) / 3.0
    found = word_scores(regions, text, rho1=2.0, rho2=3.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_padding_and_words_of_zero_neither_count_nor_give_nan(arrays):
    """Also NaN at padded positions, and a caption without words."""
    regions, _, text = arrays

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1))
    def loss(regions, words, mask):
        return nt_xent(word_scores, regions, Text(None, words, mask), directions="both").loss

    value, grads = loss(regions, text.words, text.mask)
    empty = np.where(text.mask[..., None], text.words, 0.0)
    nan = np.where(text.mask[..., None], text.words, np.nan)
    for words in (empty, nan):
        other, other_grads = loss(regions, words, text.mask)
        np.testing.assert_allclose(other, value, rtol=1e-6)
        np.testing.assert_allclose(other_grads[0], grads[0], atol=1e-5)
        assert np.isfinite(other_grads[1]).all()
    zeros, nothing = np.zeros_like(text.words), np.zeros_like(text.mask)
    for words, mask in ((zeros, text.mask), (zeros, nothing), (text.words, nothing)):
        value, grads = loss(regions, words, mask)
        assert np.isfinite(value) and all(np.isfinite(g).all() for g in grads)


def test_a_batch_of_one_has_nothing_to_tell_apart(arrays):
    regions, codes, text = jax.tree.map(lambda x: x[:1], arrays)
    words = nt_xent(word_scores, regions, text, directions="both")
    pairs = nt_xent(cosine_scores, codes, text.sentence)
    assert words == pairs == Contrast(0.0, 1.0)


@pytest.mark.parametrize("group", [0, 4])
def test_mean_over_four_devices_is_the_global_loss_and_gradient(arrays, group):
    def loss(regions, codes, text, axis_name=None):
        options = {"directions": "both", "group": group, "axis_name": axis_name}
        found = [
            nt_xent(word_scores, regions, text, **options),
            nt_xent(cosine_scores, codes, text.sentence, **options),
        ]
        return sum(x.loss for x in found), jnp.asarray(found)

    differentiate = functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    (_, expected), grads = jax.jit(differentiate(loss))(*arrays)
    rows = jax.tree.map(lambda x: x.reshape(4, B // 4, *x.shape[1:]), arrays)
    local = differentiate(functools.partial(loss, axis_name="data"))
    (_, terms), parts = jax.pmap(local, axis_name="data")(*rows)
    np.testing.assert_allclose(terms.mean(axis=0), expected, rtol=1e-5)
    for part, grad in zip(parts, grads, strict=True):
        # A row's gradient is that of the sum over the devices.
        np.testing.assert_allclose(part.reshape(grad.shape) / 4, grad, rtol=1e-3, atol=1e-5)


def test_unknown_directions_are_refused(arrays):
    _, codes, text = arrays
    with pytest.raises(ValueError, match="directions must be one of .*, got 'text'"):
        nt_xent(cosine_scores, codes, text.sentence, directions="text")
