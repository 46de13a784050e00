"""Shared blocks against plain definitions: sums over taps, and the formulae of batch norm."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from t2i_jax.models.convolutions import upsample_nearest
from t2i_jax.models.layers import BatchNorm, Conv, DoublingConvTranspose

KEY = jax.random.key(0)


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("channels", [3, 5])
def test_conv_is_the_direct_convolution(size, channels):
    x = jax.random.normal(KEY, (2, size, size, channels))
    module = Conv(4, kernel=4, stride=2, padding=1)
    variables = module.init(KEY, x)
    kernel = np.asarray(variables["params"]["kernel"])
    padded = np.pad(np.asarray(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = size // 2
    expected = np.zeros((2, out, out, 4), np.float32)
    for i in range(out):
        for j in range(out):
            window = padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
            expected[:, i, j] = np.einsum("nabc,abco->no", window, kernel)
    np.testing.assert_allclose(module.apply(variables, x), expected, atol=1e-5)


def test_doubling_transposed_convolution_scatters_its_taps():
    """Each input pixel adds its 4x4 stamp at twice its place, less one; gradients by XLA's own."""
    x = jax.random.normal(KEY, (2, 3, 5, 6))
    module = DoublingConvTranspose(4)
    variables = module.init(KEY, x)
    kernel = np.asarray(variables["params"]["kernel"])
    full = np.zeros((2, 8, 12, 4), np.float32)
    for h in range(3):
        for w in range(5):
            stamp = np.einsum("ni,abio->nabo", np.asarray(x)[:, h, w], kernel)
            full[:, 2 * h : 2 * h + 4, 2 * w : 2 * w + 4] += stamp
    np.testing.assert_allclose(module.apply(variables, x), full[:, 1:-1, 1:-1], atol=1e-5)

    def dilated(params, x):
        return lax.conv_general_dilated(
            x,
            params["kernel"][::-1, ::-1],
            (1, 1),
            ((2, 2), (2, 2)),
            lhs_dilation=(2, 2),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def loss(f):
        return jax.grad(lambda p, x: jnp.sum(jnp.sin(f(p, x))), (0, 1))

    ours = loss(lambda p, x: module.apply({"params": p}, x))(variables["params"], x)
    theirs = loss(dilated)(variables["params"], x)
    chex.assert_trees_all_equal_shapes(ours, theirs)
    chex.assert_tree_all_finite(ours)
    chex.assert_trees_all_close(ours, theirs, atol=1e-4)


def test_batch_norm_keeps_torch_statistics():
    x = 3.0 + 2.0 * jax.random.normal(KEY, (5, 2, 3, 4))
    module = BatchNorm()
    variables = module.init(KEY, x, train=True)
    assert not np.any(variables["batch_stats"]["mean"]), "initialising must not move statistics"
    y, state = module.apply(variables, x, train=True, mutable=["batch_stats"])
    rows = np.asarray(x, np.float64).reshape(-1, 4)
    scale = np.asarray(variables["params"]["scale"])
    expected = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5) * scale
    np.testing.assert_allclose(y.reshape(-1, 4), expected, atol=1e-5)
    stats = state["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.1 * rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * rows.var(0, ddof=1), rtol=1e-5)


def test_batch_norm_spans_devices():
    x = jax.random.normal(KEY, (8, 2, 2, 3))
    whole = BatchNorm()
    variables = whole.init(KEY, x, train=True)
    expected, state = whole.apply(variables, x, train=True, mutable=["batch_stats"])
    module = BatchNorm(axis_name="data")
    split = jax.pmap(
        lambda part: module.apply(variables, part, train=True, mutable=["batch_stats"]),
        axis_name="data",
    )
    got, states = split(x.reshape(4, 2, 2, 2, 3))
    np.testing.assert_allclose(got.reshape(8, 2, 2, 3), expected, atol=1e-5)
    for name in ("mean", "var"):
        each = np.asarray(states["batch_stats"][name])
        np.testing.assert_allclose(each, [state["batch_stats"][name]] * 4, rtol=1e-5)


def test_upsample_repeats_pixels():
    x = jnp.arange(6.0).reshape(1, 2, 3, 1)
    expected = np.repeat(np.repeat(np.asarray(x), 2, 1), 2, 2)
    np.testing.assert_array_equal(upsample_nearest(x), expected)
