"""Word attention against loops over samples, positions and words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.models.attention import attend

SHAPES = {"queries": (4, 2, 3, 5), "keys": (4, 6, 5), "values": (4, 6, 7)}
LENGTHS = (6, 1, 3, 4)


def arrays():
    rng = np.random.default_rng(0)
    made = {name: rng.normal(size=s).astype(np.float32) for name, s in SHAPES.items()}
    mask = np.arange(6) < np.asarray(LENGTHS)[:, None]
    return (*made.values(), mask)


def loops(queries, keys, values, mask, order):
    b, h, w, _ = queries.shape
    contexts, weights = np.zeros((b, h, w, 7)), np.zeros((b, h, w, 6))
    for i in range(b):
        for q in range(h * w):
            y, x = divmod(q, w)
            row = mask[i] if order == "sample" else mask[(i * h * w + q) % b]
            scores = np.array([queries[i, y, x] @ k for k in keys[i]])
            exp = np.where(row, np.exp(scores), 0.0)
            weights[i, y, x] = exp / exp.sum()
            contexts[i, y, x] = weights[i, y, x] @ values[i]
    return contexts, weights


@pytest.mark.parametrize("order", ["sample", "tiled"])
def test_attention_is_that_of_the_loops_on_one_device_and_on_four(order):
    inputs = arrays()
    expected = loops(*inputs, order)
    alone = attend(*inputs, mask_order=order)
    parts = [x.reshape(4, 1, *x.shape[1:]) for x in inputs]
    split = jax.pmap(
        lambda *part: attend(*part, mask_order=order, axis_name="data"), axis_name="data"
    )(*parts)
    for found, on_four, true in zip(alone, split, expected, strict=True):
        np.testing.assert_allclose(found, true, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(on_four.reshape(true.shape), true, rtol=1e-4, atol=1e-5)


def test_only_the_tiled_order_looks_at_padding():
    *inputs, mask = arrays()
    padding = np.broadcast_to(~mask[:, None, None], (4, 2, 3, 6))
    _, right = attend(*inputs, mask)
    _, tiled = attend(*inputs, mask, mask_order="tiled")
    assert not np.any(right[padding])
    assert np.max(tiled[padding]) > 0.1


def test_the_orders_agree_on_a_single_caption():
    inputs = [x[2:3] for x in arrays()]
    right, tiled = (attend(*inputs, mask_order=order) for order in ("sample", "tiled"))
    jax.tree.map(np.testing.assert_array_equal, right, tiled)


def test_a_caption_without_words_gives_numbers():
    *inputs, mask = arrays()
    contexts, weights = attend(*inputs, np.zeros_like(mask))
    np.testing.assert_allclose(weights, 1 / 6, rtol=1e-6)
    assert np.all(np.isfinite(contexts))


def test_the_weights_of_half_precision_are_single_precision():
    *inputs, mask = arrays()
    contexts, weights = attend(*(jnp.asarray(x, jnp.bfloat16) for x in inputs), mask)
    assert (contexts.dtype, weights.dtype) == (jnp.bfloat16, jnp.float32)
    np.testing.assert_allclose(jnp.sum(weights, -1), 1.0, rtol=1e-6)


def test_other_orders_and_shapes_are_refused():
    *inputs, mask = arrays()
    with pytest.raises(ValueError, match="mask_order must be one of .* got 'batch'"):
        attend(*inputs, mask, mask_order="batch")
    with pytest.raises(AssertionError):
        attend(*inputs, mask[:, 1:])
