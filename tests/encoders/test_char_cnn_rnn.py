"""The text encoder's options and facts that the golden numbers (tests/parity) do not cover."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.encoders.char_cnn_rnn import (
    PublishedGru,
    ReluRecurrence,
    TextEncoder,
    max_pool,
    threshold,
)
from t2i_jax.encoders.small_image_net import SmallImageNet

zeros = jax.nn.initializers.zeros
TINY = {"conv_widths": (3, 4), "width": 5, "embedding": 6}


@pytest.fixture(scope="module")
def tokens():
    ids = np.random.default_rng(0).integers(1, 71, (3, 201)).astype(np.int32)
    ids[0, 40:] = 0
    ids[1] = 0
    return ids


@pytest.mark.parametrize(
    ("recurrent", "width", "count"),
    [("rnn8", 256, 1_814_144), ("rnn8", 512, 2_994_560), ("gru18", 512, 4_045_184)],
)
def test_parameter_counts_of_the_published_encoders(recurrent, width, count):
    encoder = TextEncoder(recurrent=recurrent, width=width)
    variables = jax.eval_shape(encoder.init, jax.random.key(0), jnp.zeros((1, 201), jnp.int32))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == count
    assert set(variables) == {"params"}
    assert set(variables["params"]) == {"conv1", "conv2", "conv3", "rnn", "proj"}


def test_first_layer_is_a_sum_of_table_rows(tokens):
    encoder = TextEncoder(**TINY)
    variables = encoder.init(jax.random.key(1), tokens)
    _, seen = encoder.apply(variables, tokens, mutable=["intermediates"])
    conv1 = jax.tree.map(np.asarray, variables["params"]["conv1"])
    sums = np.tile(conv1["bias"], (3, 198, 1))
    for n, t, k in np.ndindex(3, 198, 4):
        if tokens[n, t + k] > 0:
            sums[n, t] += conv1["kernel"][k, tokens[n, t + k] - 1]
    sums = np.where(sums > 1e-6, sums, 0).reshape(3, 66, 3, 3).max(axis=2)
    np.testing.assert_allclose(seen["intermediates"]["pool1"][0], sums, rtol=1e-5, atol=1e-7)


def test_recurrences_from_their_equations():
    """A single channel by hand: the first step has no hidden bias, and no gates."""

    def weights(**named):
        return {
            k: {"kernel": np.full((1, 1), w), "bias": np.full(1, b)} for k, (w, b) in named.items()
        }

    x = np.array([[[0.3], [-0.2], [0.5]]])
    params = weights(i2h=(2.0, 0.1), h2h=(0.5, 0.2))
    states = ReluRecurrence(zeros, zeros).apply({"params": params}, x)[0, :, 0]
    h1 = 2 * 0.3 + 0.1
    h2 = 2 * -0.2 + 0.1 + 0.5 * h1 + 0.2
    h3 = 2 * 0.5 + 0.1 + 0.5 * h2 + 0.2
    np.testing.assert_allclose(states, [h1, h2, h3], rtol=1e-6)

    params |= weights(
        i2h_update=(1.0, 0.3), h2h_update=(-1.0, 0.4), i2h_reset=(0.7, -0.1), h2h_reset=(0.2, 0.6)
    )
    states = PublishedGru(zeros, zeros).apply({"params": params}, x)[0, :, 0]
    h = np.tanh(2 * 0.3 + 0.1)
    wanted = [h]
    for v in (-0.2, 0.5):
        z = 1 / (1 + np.exp(-(v + 0.3 - h + 0.4)))
        r = 1 / (1 + np.exp(-(0.7 * v - 0.1 + 0.2 * h + 0.6)))
        n = np.tanh(2 * v + 0.1 + 0.5 * (r * h) + 0.2)
        h = z * n + (1 - z) * h
        wanted.append(h)
    np.testing.assert_allclose(states, wanted, rtol=1e-6)


def test_pooling_and_threshold():
    x = np.random.default_rng(2).normal(size=(2, 19, 3)).astype(np.float32)
    for window, stride, steps in ((3, 3, 6), (3, 2, 9)):
        slices = [x[:, i * stride : i * stride + window].max(axis=1) for i in range(steps)]
        np.testing.assert_array_equal(max_pool(x, window, stride), np.stack(slices, axis=1))
    values = jnp.array([-1.0, 0.0, 1e-7, 1e-6, 2e-6, 3.0])
    np.testing.assert_array_equal(threshold(values), np.array([0, 0, 0, 0, 2e-6, 3], np.float32))


def test_uniform_initialisation():
    variables = TextEncoder(embedding=64).init(jax.random.key(0), jnp.zeros((1, 201), jnp.int32))
    for leaf in jax.tree.leaves(variables):
        assert -0.08 <= leaf.min() and leaf.max() <= 0.08
    kernel = variables["params"]["conv2"]["kernel"]
    np.testing.assert_allclose(kernel.std(), 0.08 / np.sqrt(3), rtol=0.01)


@pytest.mark.parametrize("widths", [((16, 24), 32), ((64, 96), 128)])
def test_fan_in_initialisation_hands_signals_on(widths):
    """Whatever the widths, activations keep their size, where "uniform" makes them vanish."""
    tokens = jax.random.randint(jax.random.key(3), (16, 201), 1, 71)
    size = {}
    for scheme in ("fan_in", "uniform"):
        encoder = TextEncoder("gru18", *widths, embedding=64, init_scheme=scheme)
        variables = encoder.init(jax.random.key(4), tokens)
        if scheme == "fan_in":
            biases = [x for p, x in jax.tree.leaves_with_path(variables) if p[-1].key == "bias"]
            assert biases and not any(np.any(x) for x in biases)
        _, kept = encoder.apply(variables, tokens, mutable=["intermediates"])
        kept = kept["intermediates"]
        size[scheme] = [float(jnp.std(kept[k][0])) for k in ("pool1", "pool2", "features", "state")]
    assert all(0.1 < x < 4 for x in size["fan_in"])
    assert size["uniform"][2] < 0.2 * size["fan_in"][2]


def test_an_image_net_that_is_not_pooled_reads_every_place():
    """Its linear layer has a weight for each position; the pooled one sees their mean."""
    images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3), minval=-1.0)
    vectors = {}
    for pooled in (True, False):
        net = SmallImageNet(widths=(4, 6), embedding=5, pooled=pooled)
        variables = net.init(jax.random.key(1), images, train=False)
        assert variables["params"]["proj"]["kernel"].shape == (6 if pooled else 2 * 2 * 6, 5)
        vectors[pooled] = net.apply(variables, images, train=False)
        if pooled:
            means = variables["params"]["proj"]["kernel"] / 4
            every = {**variables["params"], "proj": {"kernel": jnp.tile(means, (4, 1))}}
            every["proj"]["bias"] = variables["params"]["proj"]["bias"]
            same = net.clone(pooled=False).apply({**variables, "params": every}, images, False)
            np.testing.assert_allclose(same, vectors[True], atol=1e-5)
    assert np.abs(vectors[True] - vectors[False]).max() > 1e-3


def test_coco_initialisation():
    encoder = TextEncoder(recurrent="gru18", width=64, embedding=64, init_scheme="coco")
    params = encoder.init(jax.random.key(0), jnp.zeros((1, 201), jnp.int32))["params"]
    np.testing.assert_allclose(params["conv2"]["kernel"].std(), 0.02, rtol=0.02)
    assert not params["conv2"]["bias"].any()
    for layer in (params["proj"], params["rnn"]["h2h_reset"]):
        np.testing.assert_allclose(layer["kernel"].std(), 1 / 8 / np.sqrt(3), rtol=0.03)
        assert 0.1 < np.abs(layer["bias"]).max() <= 1 / 8


def test_dropout_acts_only_with_a_key_and_keeps_the_mean(tokens):
    encoder = TextEncoder(**TINY)
    variables = encoder.init(jax.random.key(1), tokens)
    plain = encoder.apply(variables, tokens).sentence
    dropping = encoder.clone(dropout=0.5)
    np.testing.assert_array_equal(dropping.apply(variables, tokens).sentence, plain)
    keys = jax.random.split(jax.random.key(2), 600)
    draws = jax.jit(
        jax.vmap(lambda k: dropping.apply(variables, tokens, rngs={"dropout": k}).sentence)
    )(keys)
    assert np.abs(draws[0] - draws[1]).max() > 0
    error = np.abs(draws.mean(axis=0) - plain)
    assert (error < 5 * draws.std(axis=0) / np.sqrt(600) + 1e-6).all()


def test_bfloat16_is_close_and_returns_float32(tokens):
    encoder = TextEncoder(**TINY)
    variables = encoder.init(jax.random.key(1), tokens)
    exact = encoder.apply(variables, tokens).sentence
    rounded = encoder.clone(dtype=jnp.bfloat16).apply(variables, tokens).sentence
    assert rounded.dtype == jnp.float32
    np.testing.assert_allclose(rounded, exact, atol=0.03 * np.abs(exact).max())


def test_bad_options_are_refused(tokens):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="'lstm'"):
        TextEncoder(recurrent="lstm").init(key, tokens)
    with pytest.raises(ValueError, match="'zeros'"):
        TextEncoder(init_scheme="zeros").init(key, tokens)
    for recurrent, shortest in (("rnn8", 84), ("gru18", 57)):
        encoder = TextEncoder(recurrent=recurrent, **TINY)
        with pytest.raises(ValueError, match=rf"T >= {shortest} for {recurrent}"):
            encoder.init(key, tokens[:, : shortest - 1])
        params = encoder.init(key, tokens[:, :shortest])["params"]
        assert "h2h" in params["rnn"]


def test_inputs_of_other_kinds_are_refused(tokens):
    key = jax.random.key(0)
    with pytest.raises(AssertionError, match="float32"):
        TextEncoder(**TINY).init(key, tokens.astype(np.float32))
    with pytest.raises(AssertionError, match="different shapes"):
        TextEncoder(**TINY).init(key, tokens, tokens[:, 1:] > 0)
    with pytest.raises(AssertionError, match="expected"):
        SmallImageNet(widths=(4, 8)).init(key, jnp.zeros((2, 3, 16, 16)), train=False)


def test_small_image_net():
    net = SmallImageNet(widths=(4, 8), embedding=5)
    images = jax.random.uniform(jax.random.key(0), (2, 16, 24, 3), minval=-1)
    variables = net.init(jax.random.key(1), images, train=False)
    vectors, state = net.apply(variables, images, train=True, mutable=["batch_stats"])
    assert vectors.shape == (2, 5) and vectors.dtype == jnp.float32
    # The running variance starts at 1 and moves by a tenth towards the batch's.
    before, after = variables["batch_stats"]["bn1"], state["batch_stats"]["bn1"]
    assert not np.allclose(before["var"], after["var"])
    with pytest.raises(ValueError, match="cannot be halved 2 times"):
        net.init(jax.random.key(1), images[:, :3], train=False)
