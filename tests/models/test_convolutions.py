"""The forms of convolutions and their gradients against XLA's plain one, on maps written out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from t2i_jax.models import convolutions as forms
from t2i_jax.models.conv import conv
from t2i_jax.models.conv_forms import as_product, in_blocks
from t2i_jax.models.convolutions import Joined, Upsampled, convolve
from t2i_jax.models.spectral_norm import PooledSpectralConv, SpectralConv


def plain(x, kernel, stride=1, padding=1):
    pad = ((padding, padding),) * 2
    return lax.conv_general_dilated(
        x, kernel, (stride,) * 2, pad, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def random(*shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(scale=0.3, size=shape), jnp.float32) for shape in shapes]


def near(found, expected):
    """Leaf by leaf, to 1e-5 of the largest."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * float(jnp.max(jnp.abs(b))))


def check(form, reference, *inputs):
    """Values, gradients, and what gradient penalties take: the gradient of a directional
    derivative. The activation is smooth: a kink would turn rounding into flipped signs.
    """

    def all_of(f):
        def loss(*inputs):
            return jnp.sum(jnp.sin(f(*inputs)))

        def penalty(*inputs):
            slope = lax.stop_gradient(jax.grad(loss)(*inputs))
            first = lambda x: loss(x, *inputs[1:])  # noqa: E731
            return jax.jvp(first, inputs[:1], (slope,))[1]

        places = tuple(range(len(inputs)))
        return f(*inputs), jax.grad(loss, places)(*inputs), jax.grad(penalty, places)(*inputs)

    near(jax.jit(lambda: all_of(form))(), jax.jit(lambda: all_of(reference))())


def twice(x):
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


@pytest.mark.parametrize("shape", [(2, 16, 18, 3), (1, 17, 16, 2)])
def test_upsampled(shape):
    x, kernel = random(shape, (3, 3, shape[-1], 4))
    check(
        lambda x, k: convolve(Upsampled(x), k),
        lambda x, k: plain(twice(x), k),
        x,
        kernel,
    )


@pytest.mark.parametrize("side", [1, 2, 5])
def test_upsampled_of_any_side(side):
    """The form itself, also below the side from which it is chosen."""
    x, kernel = random((2, side, side + 1, 3), (3, 3, 3, 4))
    near(forms.convolve_upsampled(x, kernel), plain(twice(x), kernel))


@pytest.mark.parametrize("kernel", [(3, 1), (1, 0), (5, 2), (4, 0)])
@pytest.mark.parametrize("side", [4, 8, 9])
def test_joined(kernel, side):
    """Parts in any order, whatever the kernel."""
    (size, padding), shape = kernel, (2, side, side + 1, 3)
    first, x, last, k = random((2, 5), shape, (2, 4), (size, size, 12, 6))

    def tiled(x, first, last, k):
        places = [
            jnp.broadcast_to(v[:, None, None], (*shape[:3], v.shape[-1])) for v in (first, last)
        ]
        whole = jnp.concatenate([places[0], x, places[1]], axis=-1)
        return plain(whole, k, padding=padding)

    check(
        lambda x, first, last, k: convolve(Joined((first, x, last)), k, padding=padding),
        tiled,
        *(x, first, last, k),
    )


@pytest.mark.parametrize(
    ("form", "size", "stride", "padding"),
    [
        (as_product, 4, 2, 1),
        (as_product, 3, 1, 1),
        (as_product, 4, 1, 0),
        (lambda x, k, *_: conv(*in_blocks(x, k), 1, 0), 4, 2, 1),
    ],
)
def test_forms_of_an_ordinary_convolution(form, size, stride, padding):
    x, kernel = random((2, 8, 6, 3), (size, size, 3, 5))
    check(
        lambda x, k: form(x, k, stride, padding),
        lambda x, k: plain(x, k, stride, padding),
        x,
        kernel,
    )


def test_a_mean_after_a_convolution():
    x, kernel = random((2, 6, 8, 3), (3, 3, 3, 5))

    def mean(x, k):
        y = plain(x, k)
        return y.reshape(2, 3, 2, 4, 2, 5).mean((2, 4))

    check(lambda x, k: convolve(x, forms.pooled(k), stride=2), mean, x, kernel)


def test_a_mean_after_a_divided_kernel():
    (x,) = random((2, 8, 8, 3))
    plain_layer, layer = SpectralConv(4), PooledSpectralConv(4)
    variables = layer.init(jax.random.key(0), x, True)
    expected, state = plain_layer.apply(variables, x, True, mutable=["spectral"])
    found, after = layer.apply(variables, x, True, mutable=["spectral"])
    near(found, expected.reshape(2, 4, 2, 4, 2, 4).mean((2, 4)))
    near(after, state)


@pytest.mark.parametrize("shape", [((8, 8, 256), 4, 2), ((4, 4, 512), 3, 1)])
def test_the_platform_chooses_where_only_a_measurement_decides(shape):
    """One exported program holds both forms; the batch is symbolic, so that it decides nothing."""
    flatbuffers = pytest.importorskip("flatbuffers")
    assert flatbuffers
    (side, size, stride) = shape
    (rows,) = jax.export.symbolic_shape("b")
    x = jax.ShapeDtypeStruct((rows, *side), jnp.float32)
    k = jax.ShapeDtypeStruct((size, size, side[-1], 8), jnp.float32)
    f = jax.jit(functools.partial(convolve, stride=stride))
    for platforms, wanted, unwanted in (
        (("cpu",), "dot_general", "stablehlo.convolution"),
        (("cuda",), "stablehlo.convolution", "dot_general"),
    ):
        text = jax.export.export(f, platforms=platforms)(x, k).mlir_module()
        assert wanted in text and unwanted not in text
    text = jax.export.export(f, platforms=("cpu", "cuda", "tpu"))(x, k).mlir_module()
    assert "dot_general" in text and "stablehlo.convolution" in text


@pytest.mark.parametrize(
    ("shape", "size", "stride", "padding"),
    [
        ((2, 5, 6, 3), 2, 1, 0),
        ((2, 32, 34, 3), 4, 2, 1),
        ((2, 6, 7, 3), 3, 1, 1),
        ((2, 8, 6, 256), 3, 1, 1),
        ((2, 6, 7, 3), 3, 1, 0),
    ],
)
def test_own_gradients(shape, size, stride, padding):
    x, kernel = random(shape, (size, size, shape[-1], 4))

    def slopes(f):
        """Of the squared length of the gradients: reverse over reverse."""

        def length(x, kernel):
            loss = lambda *inputs: jnp.sum(jnp.sin(f(*inputs, stride, padding)))  # noqa: E731
            return sum(jnp.sum(g**2) for g in jax.grad(loss, (0, 1))(x, kernel))

        return jax.grad(length, (0, 1))(x, kernel)

    check(
        lambda x, kernel: conv(x, kernel, stride, padding),
        lambda x, kernel: plain(x, kernel, stride, padding),
        x,
        kernel,
    )
    near(jax.jit(lambda: slopes(conv))(), jax.jit(lambda: slopes(plain))())


def test_the_kernel_gradient_of_a_large_map():
    x, dy = random((2, 128, 130, 32), (2, 128, 130, 32))
    kernel = jnp.zeros((3, 3, 32, 32))
    found = jax.vjp(lambda kernel: conv(x, kernel), kernel)[1](dy)
    near(found, jax.vjp(lambda kernel: plain(x, kernel), kernel)[1](dy))


def test_own_gradients_of_each_example():
    x, kernel = random((3, 4, 4, 2), (2, 2, 2, 5))

    def each(f):
        def loss(kernel, x):
            return jnp.sum(jnp.sin(f(x[None], kernel, 1, 0)))

        return jax.vmap(jax.grad(loss), (None, 0))(kernel, x)

    near(jax.jit(lambda: each(conv))(), jax.jit(lambda: each(plain))())


def test_a_convolution_that_is_not_differentiated_is_plain():
    x, kernel = random((1, 4, 4, 2), (2, 2, 2, 5))
    program = str(jax.make_jaxpr(conv)(x, kernel))
    assert "conv_general_dilated" in program and "t2i_jax_conv" not in program


def test_a_batch_of_any_size():
    """An exported generator's batch is a symbol; one program serves three platforms."""
    rows = export.symbolic_shape("rows")[0]
    shape = jax.ShapeDtypeStruct
    x, vector = shape((rows, 8, 8, 4), jnp.float32), shape((rows, 6), jnp.float32)
    kernel = shape((3, 3, 10, 8), jnp.float32)
    joined = jax.jit(lambda x, vector, kernel: convolve(Joined((vector, x)), kernel))
    program = export.export(joined, platforms=["cpu", "cuda", "tpu"])(x, vector, kernel)
    inputs = random((3, 8, 8, 4), (3, 6), (3, 3, 10, 8))
    near(program.call(*inputs), joined(*inputs))
