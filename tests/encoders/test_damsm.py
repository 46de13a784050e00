"""What of DAMSM's encoders the golden numbers (tests/parity) do not cover."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.encoders.damsm import CompactImageEncoder, ImageEncoder, TextEncoder

TINY = TextEncoder(vocab_size=11, word_dim=5, embedding=6)


@pytest.fixture(scope="module")
def captions():
    """Tokens [4, 7], their lengths, and variables of `TINY`."""
    rng = np.random.default_rng(0)
    lengths = np.array([7, 1, 4, 5])
    tokens = rng.integers(1, 11, (4, 7)).astype(np.int32)
    tokens[np.arange(7) >= lengths[:, None]] = 0
    return tokens, lengths, jax.jit(TINY.init)(jax.random.key(1), tokens)


def size(variables):
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


@pytest.mark.parametrize(("words", "count"), [(5450, 2_075_320), (27297, 8_629_420)])
def test_parameter_counts_of_the_published_text_encoders(words, count):
    encoder = TextEncoder(vocab_size=words)
    tokens = jnp.zeros((1, 18), jnp.int32)
    assert size(jax.eval_shape(encoder.init, jax.random.key(0), tokens)) == count


def test_padding_changes_nothing(captions):
    """Every caption as if it were alone and unpadded, whatever ids the padding has."""
    tokens, lengths, variables = captions
    mask = np.arange(7) < lengths[:, None]
    garbage = np.where(mask, tokens, 9)
    encode = jax.jit(TINY.apply)
    for text in (encode(variables, tokens), encode(variables, garbage, mask)):
        np.testing.assert_array_equal(text.mask, mask)
        assert not np.any(np.asarray(text.words)[~mask])
        for i, length in enumerate(lengths):
            alone = encode(variables, tokens[i : i + 1, :length])
            np.testing.assert_allclose(text.words[i, :length], alone.words[0], atol=1e-6)
            np.testing.assert_allclose(text.sentence[i], alone.sentence[0], atol=1e-6)
            ends = np.concatenate([alone.words[0, -1, :3], alone.words[0, 0, 3:]])
            np.testing.assert_allclose(text.sentence[i], ends, atol=1e-6)


def test_the_backward_half_reads_from_the_end(captions):
    """With one set of weights for both directions: a palindrome's words mirror."""
    _, _, variables = captions
    params = {**variables["params"], "backward": variables["params"]["forward"]}
    words = TINY.apply({"params": params}, np.array([[3, 8, 5, 8, 3]])).words[0]
    np.testing.assert_allclose(words[:, :3], words[::-1, 3:], atol=1e-6)


def test_initialisation():
    encoder = TextEncoder(vocab_size=50, word_dim=20, embedding=128)
    params = jax.jit(encoder.init)(jax.random.key(0), np.ones((1, 2), np.int32))["params"]
    bounds = {"words": 0.1, "forward": 1 / 8, "backward": 1 / 8}
    for name, bound in bounds.items():
        for leaf in jax.tree.leaves(params[name]):
            assert 0.9 * bound < np.abs(leaf).max() <= bound


def test_dropout_acts_only_with_a_key_and_on_the_global_batch(captions):
    tokens, _, variables = captions
    plain = TINY.apply(variables, tokens)
    still = TINY.clone(dropout=0.0).apply(variables, tokens, rngs={"dropout": jax.random.key(2)})
    np.testing.assert_array_equal(plain.sentence, still.sentence)

    def dropped(encoder, tokens):
        return encoder.apply(variables, tokens, rngs={"dropout": jax.random.key(2)}).sentence

    whole = dropped(TINY, tokens)
    assert np.abs(whole - plain.sentence).max() > 0.01
    rows = jax.pmap(functools.partial(dropped, TINY.clone(axis_name="data")), axis_name="data")
    parts = rows(tokens.reshape(2, 2, -1))
    np.testing.assert_allclose(parts.reshape(whole.shape), whole, atol=1e-6)


def test_bfloat16_is_close_and_returns_float32(captions):
    tokens, _, variables = captions
    exact = TINY.apply(variables, tokens)
    rounded = TINY.clone(dtype=jnp.bfloat16).apply(variables, tokens)
    for name in ("sentence", "words"):
        a, b = getattr(exact, name), getattr(rounded, name)
        assert b.dtype == jnp.float32
        np.testing.assert_allclose(b, a, atol=0.03 * np.abs(a).max())


def test_bad_text_options_are_refused(captions):
    tokens, _, _ = captions
    with pytest.raises(ValueError, match="vocab_size must be the number of ids .* not 0"):
        TextEncoder().init(jax.random.key(0), tokens)
    with pytest.raises(ValueError, match="embedding must be even"):
        TINY.clone(embedding=5).init(jax.random.key(0), tokens)


def shapes_of(encoder, side):
    """(features, variables) of two images, without computing."""
    images = jnp.zeros((2, side, side, 3))
    return jax.eval_shape(lambda k: encoder.init_with_output(k, images, False), jax.random.key(0))


def test_image_encoder_of_the_paper():
    features, variables = shapes_of(ImageEncoder(), 256)
    assert features.regions.shape == (2, 289, 256) and features.code.shape == (2, 256)
    params = dict(variables["params"])
    assert size(params) == 22_506_720
    assert size(params.pop("inception")) == 21_785_568
    assert size(params) == 721_152


def test_image_encoder_of_one_layer():
    encoder = ImageEncoder(embedding=8, local_layer="mixed5", global_layer="mixed5")
    features, variables = shapes_of(encoder, 64)
    assert features.regions.shape == (2, 289, 8) and features.code.shape == (2, 8)
    assert "Mixed_6d" not in variables["params"]["inception"]
    with pytest.raises(ValueError, match="no block 'mixed55'"):
        shapes_of(encoder.clone(local_layer="mixed55"), 64)


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_statistics_of_the_trunk_in_training(batch_statistics):
    encoder = ImageEncoder(
        embedding=4,
        local_layer="Mixed_5b",
        global_layer="Mixed_5b",
        batch_statistics=batch_statistics,
        image_size=75,
    )
    images = jax.random.uniform(jax.random.key(0), (2, 20, 20, 3), minval=-1)

    @jax.jit
    def run(key):
        before = encoder.init(key, images, False)
        features, after = encoder.apply(before, images, True, mutable=["batch_stats"])
        return features, before["batch_stats"], after["batch_stats"]

    features, before, after = run(jax.random.key(1))
    assert np.isfinite(features.regions).all() and features.regions.shape == (2, 49, 4)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, after)
    assert set(jax.tree.leaves(moved)) == {batch_statistics}


def test_compact_image_encoder():
    """A region every 8 pixels that sees 50x50 of them, and a code that sees everything."""
    encoder = CompactImageEncoder(embedding=4, widths=(3, 4, 5, 6))
    images = jax.random.uniform(jax.random.key(0), (1, 96, 96, 3), minval=-1)

    @jax.jit
    def run(key):
        variables = encoder.init(key, images, False)
        features, pull = jax.vjp(lambda x: encoder.apply(variables, x, False), images)
        middle = jnp.zeros_like(features.regions).at[0, 6 * 12 + 6].set(1.0)
        nothing = jax.tree.map(jnp.zeros_like, features)
        seen_by_region = pull(nothing._replace(regions=middle))[0]
        seen_by_code = pull(nothing._replace(code=jnp.ones_like(features.code)))[0]
        return features, seen_by_region, seen_by_code

    features, seen_by_region, seen_by_code = run(jax.random.key(1))
    assert features.regions.shape == (1, 144, 4) and features.code.shape == (1, 4)
    rows, columns = np.nonzero(np.abs(seen_by_region[0]).sum(axis=-1))
    assert {np.ptp(rows) + 1, np.ptp(columns) + 1} == {50}
    assert (np.abs(seen_by_code[0]).sum(axis=-1) > 0).all()


def test_a_code_that_is_not_pooled_reads_every_position_by_itself():
    encoder = CompactImageEncoder(embedding=4, widths=(3, 5), local_stages=1, pooled=False)
    images = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3), minval=-1)

    @jax.jit
    def run(key):
        variables = encoder.init(key, images, False)
        found = encoder.apply(variables, images, False, capture_intermediates=True)
        return variables["params"]["code"], *found

    projection, features, state = run(jax.random.key(1))
    (last,) = state["intermediates"]["look2"]["__call__"]
    last = np.where(last > 0, last, 0.2 * last).reshape(2, 4 * 4 * 5)
    code = last @ projection["kernel"] + projection["bias"]
    np.testing.assert_allclose(features.code, code, atol=1e-5)


def test_bad_image_options_are_refused():
    with pytest.raises(ValueError, match="local_stages must be 1 to 4"):
        shapes_of(CompactImageEncoder(local_stages=5), 64)
    with pytest.raises(ValueError, match=r"\(72, 72\) cannot be halved 4 times.*multiples of 16"):
        shapes_of(CompactImageEncoder(), 72)
