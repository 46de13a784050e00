"""Modulated batch norm against maps made position by position."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.models.modulation import Caption, ModulatedNorm, cosine_attention

B, H, T, E, G, C = 2, 4, 5, 3, 2, 6
KEY = jax.random.key(0)
MASK = np.arange(T) < np.array([[5], [2]])


def made(shared):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, H, H, C)).astype(np.float32)
    condition = rng.normal(size=(B, G)).astype(np.float32)
    words = rng.normal(size=(B, T, E)).astype(np.float32)
    attention = None
    if shared:  # of a grid of half the side
        queries = rng.normal(size=(B, H // 2, H // 2, E)).astype(np.float32)
        attention = cosine_attention(queries, words, MASK, 15.0)
    return x, Caption(condition, words, MASK, attention)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def attend(queries, keys):
    """Position by position, in float64: [B, h, h, T]."""
    scores = 15.0 * np.einsum("bhwc,btc->bhwt", unit(queries), unit(keys))
    e = np.exp(scores) * MASK[:, None, None]
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("gain", ["gamma", "one_plus_gamma"])
@pytest.mark.parametrize("kind", ["no", "own", "shared"])
def test_layers_of_words_make_the_map_that_layers_of_positions_would(kind, gain):
    x, caption = made(kind == "shared")
    module = ModulatedNorm(attends=kind != "no", gain=gain)
    variables = module.init(KEY, x, caption, train=False)
    variables = jax.tree.map(lambda v: v + 0.1, variables)
    y, found = module.apply(variables, x, caption, train=False)
    params = jax.tree.map(lambda v: np.asarray(v, float), variables["params"])
    condition = np.broadcast_to(caption.condition[:, None, None], (B, H, H, G)).astype(float)
    if kind != "no":
        if kind == "own":
            weights = attend(x, caption.words @ params["words"]["kernel"])
        else:
            weights = np.asarray(caption.attention)
        np.testing.assert_allclose(found, weights, rtol=1e-4, atol=1e-6)
        context = np.einsum("bhwt,bte->bhwe", weights, caption.words)
        condition = np.concatenate(
            [context.repeat(H // len(weights[0]), 1).repeat(H // len(weights[0]), 2), condition],
            axis=-1,
        )
    maps = {n: condition @ params[n]["kernel"] + params[n]["bias"] for n in ("gamma", "beta")}
    bn = variables["batch_stats"]["bn"]
    normed = (x - bn["mean"]) / np.sqrt(bn["var"] + 1e-5)
    expected = normed * ((gain == "one_plus_gamma") + maps["gamma"]) + maps["beta"]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_words_of_zero_and_captions_without_words_give_numbers():
    x, caption = made(False)
    module = ModulatedNorm(attends=True)
    variables = module.init(KEY, x, caption, train=False)

    @jax.jit
    @jax.grad
    def slope(inputs, mask):
        x, words = inputs
        text = caption._replace(words=words, mask=mask)
        y, _ = module.apply(variables, x, text, train=True, mutable=["batch_stats"])[0]
        return jnp.sum(jnp.sin(y))

    for mask in (MASK, np.zeros_like(MASK)):
        grads = slope((x, np.zeros_like(caption.words)), mask)
        assert all(np.isfinite(g).all() for g in grads)


def test_padding_does_not_matter():
    x, caption = made(False)
    module = ModulatedNorm(attends=True)
    variables = module.init(KEY, x, caption, train=False)
    other = caption._replace(words=np.where(MASK[..., None], caption.words, 7.0))
    found = [module.apply(variables, x, c, train=False)[0] for c in (caption, other)]
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)
