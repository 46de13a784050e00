"""Minimal filtering against XLA's plain convolution."""

import functools

import jax
import jax.numpy as jnp
import pytest
from traced import operations

from models.test_convolutions import near, plain, random
from t2i_jax.models import winograd
from t2i_jax.models.conv import conv


@pytest.mark.parametrize("side", [(8, 8), (9, 12), (3, 5)])
@pytest.mark.parametrize(("taps", "padding"), [(3, 0), (3, 1), (3, 2), (2, 0), (2, 1)])
def test_results_and_gradients(taps, padding, side):
    """Even and odd sides, and one tile alone."""
    x, kernel = random((2, *side, 5), (taps, taps, 5, 4))
    y, pull = jax.vjp(lambda x, kernel: plain(x, kernel, padding=padding), x, kernel)
    (dy,) = random(y.shape)
    dx, dkernel = pull(dy)
    near(winograd.convolve(x, kernel, padding), y)
    near(winograd.input_gradient(dy, kernel, padding), dx)
    near(winograd.kernel_gradient(x, dy, taps, padding), dkernel)


@pytest.mark.parametrize("taps", [2, 3])
def test_there_are_as_few_products_as_the_paper_says(taps):
    """For 2x2 results (taps + 1)^2 in place of 4 taps^2, whatever the channels; the transforms are
    sums.
    """
    x, kernel = random((1, 4, 4, 64), (taps, taps, 64, 64))
    padding = taps // 2 if taps == 3 else 0
    form = jax.jit(functools.partial(winograd.convolve, padding=padding))
    side = 4 + 2 * padding - taps + 1
    tiles = ((side + 1) // 2) ** 2
    products = [e for e in operations(form, x, kernel) if e.primitive.name == "dot_general"]
    rows = sum(equation.outvars[0].aval.size for equation in products) // 64
    assert rows == tiles * (taps + 1) ** 2


@pytest.mark.parametrize(
    ("side", "channels", "size", "stride", "padding"),
    [
        ((8, 10), (128, 130), 3, 1, 1),
        ((9, 8), (128, 128), 2, 1, 0),
        ((32, 34), (64, 128), 4, 2, 1),
    ],
)
def test_many_channels_take_it_and_keep_their_numbers(side, channels, size, stride, padding):
    """Values, gradients, and the gradient of a directional derivative, as penalties take it."""
    x, kernel = random((1, *side, channels[0]), (size, size, *channels))
    (slope,) = random(x.shape)

    def all_of(f):
        def loss(x, kernel):
            return jnp.mean(jnp.sin(f(x, kernel)))

        def penalty(x, kernel):
            return jax.jvp(lambda x: loss(x, kernel), (x,), (slope,))[1]

        return f(x, kernel), jax.grad(loss, (0, 1))(x, kernel), jax.grad(penalty, (0, 1))(x, kernel)

    found = jax.jit(lambda: all_of(functools.partial(conv, stride=stride, padding=padding)))
    reference = jax.jit(lambda: all_of(functools.partial(plain, stride=stride, padding=padding)))
    near(found(), reference())
    assert "stablehlo.convolution" not in found.lower().as_text()


@pytest.mark.parametrize(
    ("dtype", "platform"), [("bfloat16", "cpu"), ("float32", "cuda"), ("float32", "tpu")]
)
def test_other_types_and_platforms_keep_the_plain_form(dtype, platform):
    """Sums of pixels before a product lose digits that bfloat16 does not have."""
    x = jax.ShapeDtypeStruct((1, 8, 8, 128), dtype)
    kernel = jax.ShapeDtypeStruct((3, 3, 128, 128), dtype)
    both = jax.jit(jax.value_and_grad(lambda x, kernel: conv(x, kernel).sum(), (0, 1)))
    text = both.trace(x, kernel).lower(lowering_platforms=(platform,)).as_text()
    assert text.count("stablehlo.convolution") == 3 and "dot_general" not in text
