"""One convolution; it and its two gradients take the forms that are fastest on CPUs.

The convolution is bilinear, so its two gradients are linear maps, and a primitive that knows them
can be differentiated any number of times in both modes: penalties on gradients need a forward pass
over a backward one, which ``jax.custom_vjp`` refuses. On other platforms than CPUs XLA's own forms
are kept. What a gradient needs beside the inputs is made anew, and not held. The forms are chosen
by static shapes, never by the batch; the measured table is in BENCHMARKS.md, from
``launch/layer_forms.py``.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from t2i_jax import in_order
from t2i_jax.models import winograd
from t2i_jax.models.conv_forms import (
    as_product,
    direct,
    in_blocks,
    kernel_gradient_by_strips,
    kernel_gradient_by_taps,
    kernel_gradient_of_few,
)

RESULT = "convolution"  # by which `jax.checkpoint` knows the result of one that is differentiated


# Only its derivatives are bound to the primitive: what is not differentiated is made of XLA's
# operations, which exporters to other formats know.
@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def conv(x: jax.Array, kernel: jax.Array, stride: int = 1, padding: int = 1) -> jax.Array:
    """As `direct`: the same numbers in less time on CPUs."""
    return _forward(x, kernel, stride, padding)


def _conv_jvp(stride: int, padding: int, primals, tangents):
    x, kernel = primals
    dx, dkernel = tangents
    parts = []
    if not isinstance(dx, SymbolicZero):
        parts.append(_bind(dx, kernel, stride, padding))
    if not isinstance(dkernel, SymbolicZero):
        parts.append(_bind(x, dkernel, stride, padding))
    y = checkpoint_name(conv(x, kernel, stride, padding), RESULT)
    return y, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(y)


conv.defjvp(_conv_jvp, symbolic_zeros=True)


def _is_halving(x, kernel, stride: int, padding: int) -> bool:
    even = x.shape[1] % 2 == x.shape[2] % 2 == 0
    return (kernel.shape[0], stride, padding) == (4, 2, 1) and even


def _is_product(x, kernel, stride: int, padding: int) -> bool:
    """Whether the map is so small, with so many channels, that a CPU is faster by `as_product`."""
    _, h, _, c = x.shape
    if _is_halving(x, kernel, stride, padding):
        return h <= 16 and c >= 256
    return (kernel.shape[0], stride, padding) == (3, 1, 1) and h <= 4 and c >= 512


def _is_small(x, kernel, stride: int, padding: int) -> bool:
    """Whether the input gradient alone is faster by `as_product` on a CPU: XLA:CPU's own lays the
    kernel out anew, which takes long where there are few positions.
    """
    _, h, _, c = x.shape
    return (kernel.shape[0], stride, padding) == (3, 1, 1) and h <= 8 and c >= 256


def _is_filtered(x, kernel, stride: int, padding: int) -> bool:
    """Whether a CPU is faster by `winograd`: where the products of many channels outweigh its
    transforms.
    """
    taps, _, c, features = kernel.shape
    kind = taps in (2, 3) and stride == 1 and padding < taps and x.dtype == jnp.float32
    return kind and min(x.shape[1:3]) >= 8 and min(c, features) >= 128


def _is_filtered_by_blocks(x, kernel, stride: int, padding: int) -> bool:
    """Whether a CPU is faster by `in_blocks` and `winograd`."""
    _, h, w, c = x.shape
    large = x.dtype == jnp.float32 and min(h, w) >= 32 and c >= 64 and kernel.shape[3] >= 128
    return large and _is_halving(x, kernel, stride, padding)


def _is_large(x, kernel, stride: int, padding: int) -> bool:
    """Whether a CPU is faster by `kernel_gradient_by_strips`."""
    *size, c, features = kernel.shape
    h, w = x.shape[1:3]
    usual = (*size, stride, padding) == (3, 3, 1, 1) and h % 8 == 0
    return usual and min(h, w) >= 128 and min(c, features) >= 32


# Compiled functions are traced once for each shape, however many layers and passes have it.
@functools.partial(jax.jit, static_argnums=(2, 3))
def _forward(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    plain = functools.partial(direct, stride=stride, padding=padding)
    if _is_product(x, kernel, stride, padding):
        fast = functools.partial(as_product, stride=stride, padding=padding)
    elif _is_filtered(x, kernel, stride, padding):
        fast = functools.partial(winograd.convolve, padding=padding)
    elif _is_filtered_by_blocks(x, kernel, stride, padding):
        fast = lambda x, kernel: winograd.convolve(*in_blocks(x, kernel), 0)  # noqa: E731
    elif (kernel.shape[0], stride, padding) == (3, 1, 0):
        # XLA:CPU takes two to five times as long for the same without padding.
        fast = lambda x, kernel: direct(x, kernel)[:, 1:-1, 1:-1]  # noqa: E731
    else:
        return plain(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=fast, default=plain)


def interleaved(x: jax.Array, taps: jax.Array) -> jax.Array:
    """Four 2x2 convolutions whose results are the interleaved parts of a map twice as large:
    [B, H, W, C] -> [B, 2H, 2W, O].

    taps: [p, i, q, j, C, O]: output row 2k - 1 + p takes input row k - 1 + i with it, columns
        alike.
    """
    b, h, w, c = x.shape
    features = taps.shape[-1]
    kernel = taps.transpose(1, 3, 4, 0, 2, 5).reshape(2, 2, c, 4 * features)
    y = conv(x, kernel, 1, 1)
    y = y.reshape(b, h + 1, w + 1, 2, 2, features).transpose(0, 1, 3, 2, 4, 5)
    return y.reshape(b, 2 * h + 2, 2 * w + 2, features)[:, 1:-1, 1:-1]


def products_by_position(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """[..., C] with a kernel [i, j, C, O]: -> [..., i, j, O].

    As a product with a matrix of C rows. An einsum lets XLA take that of C columns, whose gradient
    comes transposed, number by number, into all of the optimizer's fusions: a fifth of a step.
    """
    *places, c, features = kernel.shape
    matrix = kernel.transpose(2, 0, 1, 3).reshape(c, -1)
    return (x @ matrix).reshape(*x.shape[:-1], *places, features)


def doubled(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Transposed convolution, stride 2, padding 1, of ``kernel[a, b]`` [4, 4, C, O]: y[2h + a - 1,
    2w + b - 1] += x[h, w] @ kernel[a, b]. [B, H, W, C] -> [B, 2H, 2W, O].

    By `interleaved`, or by one product whose overlapping patches are added up where that is less
    work: on tiny maps the former also multiplies their borders, and few features fill no kernel.
    """
    b, h, w, c = x.shape
    features = kernel.shape[-1]
    if h > 4 and features > 4:
        # Output row 2k - 1 + p (p = 0, 1) takes input rows k - 1 and k with taps 2 + p and p.
        taps = kernel.reshape(2, 2, 2, 2, c, features)[::-1, :, ::-1]  # [i, p, j, q, C, O]
        return interleaved(x, taps.transpose(1, 0, 3, 2, 4, 5))
    parts = products_by_position(x, kernel).reshape(b, h, w, 2, 2, 2, 2, features)
    y = sum(
        jnp.pad(parts[:, :, :, i, :, j], ((0, 0), (i, 1 - i), (j, 1 - j), (0, 0), (0, 0), (0, 0)))
        for i in range(2)
        for j in range(2)
    )
    y = y.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h + 2, 2 * w + 2, features)
    return y[:, 1:-1, 1:-1]


def _input_gradient(dy: jax.Array, x, kernel: jax.Array, *, stride: int, padding: int) -> jax.Array:
    return _of_input(dy, kernel, x.aval, stride, padding)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _of_input(dy: jax.Array, kernel: jax.Array, x, stride: int, padding: int) -> jax.Array:
    dy, kernel = in_order.together((dy, kernel))

    def of(form, shape=x.shape, padding=padding):
        def gradient(dy, kernel):
            whole = jax.ShapeDtypeStruct(shape, x.dtype)
            return jax.linear_transpose(lambda x: form(x, kernel, stride, padding), whole)(dy)[0]

        return gradient

    def uncut(dy, kernel):
        # XLA:CPU is four times slower where it does not compute the padding's gradient, too.
        b, h, w, c = x.shape
        shape = b, h + 2 * padding, w + 2 * padding, c
        whole = of(direct, shape, 0)(dy, kernel)
        return whole[:, padding : padding + h, padding : padding + w]

    if _is_product(x, kernel, stride, padding):
        fast = of(as_product)
    elif _is_filtered(x, kernel, stride, padding):
        fast = functools.partial(winograd.input_gradient, padding=padding)
    elif _is_small(x, kernel, stride, padding):
        fast = of(as_product)
    elif _is_filtered_by_blocks(x, kernel, stride, padding):
        fast = of(lambda x, kernel, *_: _bind(*in_blocks(x, kernel), 1, 0))
    elif _is_halving(x, kernel, stride, padding) and x.shape[1] >= 32:
        # XLA:CPU's own inserts zeros between the pixels and multiplies by them.
        fast = lambda dy, kernel: doubled(dy, kernel.swapaxes(2, 3))  # noqa: E731
    elif kernel.shape[0] == 2 and stride == 1:
        fast = uncut
    else:
        return of(direct)(dy, kernel)
    return lax.platform_dependent(dy, kernel, cpu=fast, default=of(direct))


def _kernel_gradient(dy: jax.Array, x: jax.Array, kernel, *, stride: int, padding: int):
    return _of_kernel(dy, x, kernel.aval, stride, padding)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _of_kernel(dy: jax.Array, x: jax.Array, kernel, stride: int, padding: int) -> jax.Array:
    dy, x = in_order.together((dy, x))

    def of(form):
        def gradient(dy, x):
            whole = jax.ShapeDtypeStruct(kernel.shape, kernel.dtype)
            back = jax.linear_transpose(lambda kernel: form(x, kernel, stride, padding), whole)
            return back(dy)[0]

        return gradient

    if _is_product(x, kernel, stride, padding):
        fast = of(as_product)
    elif _is_filtered(x, kernel, stride, padding):
        taps = kernel.shape[0]
        fast = lambda dy, x: winograd.kernel_gradient(x, dy, taps, padding)  # noqa: E731
    elif _is_filtered_by_blocks(x, kernel, stride, padding):
        fast = of(lambda x, kernel, *_: _bind(*in_blocks(x, kernel), 1, 0))
    elif kernel.shape[0] == 2 and stride == 1:
        fast = lambda dy, x: kernel_gradient_by_taps(x, dy, 2, 1, padding)  # noqa: E731
    elif (kernel.shape[0], stride, padding) == (3, 1, 1) and kernel.shape[3] <= 4:
        fast = lambda dy, x: kernel_gradient_of_few(x, dy)  # noqa: E731
    elif _is_large(x, kernel, stride, padding):
        fast = lambda dy, x: kernel_gradient_by_strips(x, dy)  # noqa: E731
    else:
        return of(direct)(dy, x)
    return lax.platform_dependent(dy, x, cpu=fast, default=of(direct))


def _batched(args, dims, *, stride: int, padding: int):
    """Under ``jax.vmap``: that of XLA's own."""
    plain = functools.partial(direct, stride=stride, padding=padding)
    return jax.vmap(plain, in_axes=dims)(*args), 0


def _abstract(x, kernel, *, stride: int, padding: int) -> jax.core.ShapedArray:
    plain = functools.partial(direct, stride=stride, padding=padding)
    y = jax.eval_shape(plain, x, kernel)
    return jax.core.ShapedArray(y.shape, y.dtype)


def _bind(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    return _conv_p.bind(x, kernel, stride=stride, padding=padding)


_conv_p = Primitive("t2i_jax_conv")
_conv_p.def_impl(lambda x, kernel, *, stride, padding: _forward(x, kernel, stride, padding))
_conv_p.def_abstract_eval(_abstract)
mlir.register_lowering(_conv_p, mlir.lower_fun(_conv_p.impl, multiple_results=False))
ad.defbilinear(_conv_p, _input_gradient, _kernel_gradient)
batching.primitive_batchers[_conv_p] = _batched
