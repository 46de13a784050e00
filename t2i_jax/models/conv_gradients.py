"""XLA's convolution with gradients of ours where XLA's own are slow on CPUs.

The convolution is bilinear, so its two gradients are linear maps, and a primitive that knows them
can be differentiated any number of times in both modes: penalties on gradients need a forward pass
over a backward one, which ``jax.custom_vjp`` refuses. On other platforms than CPUs XLA's are kept.
The measured table is in BENCHMARKS.md, from ``launch/layer_forms.py``.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

DIMS = ("NHWC", "HWIO", "NHWC")


def direct(x: jax.Array, kernel: jax.Array, stride: int = 1, padding: int = 1) -> jax.Array:
    """XLA's own convolution: a map [B, H, W, C] with a square kernel [k, k, C, O] and symmetric
    zero padding.
    """
    pad = ((padding, padding),) * 2
    return lax.conv_general_dilated(x, kernel, (stride,) * 2, pad, dimension_numbers=DIMS)


# Only its derivatives are bound to the primitive: what is not differentiated is a plain convolution
# of XLA, which exporters to other formats know.
@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def conv(x: jax.Array, kernel: jax.Array, stride: int = 1, padding: int = 1) -> jax.Array:
    """As `direct`: the same numbers, and derivatives that are faster on CPUs."""
    return direct(x, kernel, stride, padding)


def _conv_jvp(stride: int, padding: int, primals, tangents):
    x, kernel = primals
    dx, dkernel = tangents
    parts = []
    if not isinstance(dx, SymbolicZero):
        parts.append(_bind(dx, kernel, stride, padding))
    if not isinstance(dkernel, SymbolicZero):
        parts.append(_bind(x, dkernel, stride, padding))
    y = conv(x, kernel, stride, padding)
    return y, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(y)


conv.defjvp(_conv_jvp, symbolic_zeros=True)


def kernel_gradient_by_taps(
    x: jax.Array, dy: jax.Array, size: int, stride: int = 1, padding: int = 1
) -> jax.Array:
    """[B, H, W, C] and the result's gradient [B, h, w, O] -> [size, size, C, O]: one matrix product
    a tap, over all positions.
    """
    c, features = x.shape[-1], dy.shape[-1]
    taps = patches(x, size, stride, padding)
    flat = dy.reshape(-1, features)
    products = [jnp.einsum("nc,no->co", tap.reshape(-1, c), flat) for tap in taps]
    return jnp.stack(products).reshape(size, size, c, features)


def input_gradient_by_parts(dy: jax.Array, kernel: jax.Array) -> jax.Array:
    """Of a 4x4 convolution, stride 2, padding 1: [B, h, w, O] -> [B, 2h, 2w, C], by `interleaved`.
    XLA:CPU's own inserts zeros between the pixels and multiplies by them.
    """
    c, features = kernel.shape[2:]
    # Input row 2k - 1 + p takes the gradient's rows k - 1 and k with taps 2 + p and p.
    taps = kernel.reshape(2, 2, 2, 2, c, features)[::-1, :, ::-1]  # [i, p, j, q, C, O]
    return interleaved(dy, taps.transpose(1, 0, 3, 2, 5, 4))


def patches(x: jax.Array, size: int, stride: int = 1, padding: int = 1) -> list[jax.Array]:
    """What each tap of a kernel meets, row by row: maps [B, h, w, C]."""
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows, columns = ((side - size) // stride * stride + 1 for side in x.shape[1:3])
    return [
        x[:, i : i + rows : stride, j : j + columns : stride]
        for i in range(size)
        for j in range(size)
    ]


def interleaved(x: jax.Array, taps: jax.Array) -> jax.Array:
    """Four 2x2 convolutions whose results are the interleaved parts of a map twice as large:
    [B, H, W, C] -> [B, 2H, 2W, O].

    taps: [p, i, q, j, C, O]: output row 2k - 1 + p takes input row k - 1 + i with it, columns
        alike.
    """
    b, h, w, c = x.shape
    features = taps.shape[-1]
    kernel = taps.transpose(1, 3, 4, 0, 2, 5).reshape(2, 2, c, 4 * features)
    # Padded by hand: XLA:CPU computes the gradient of the input four times slower for a padded one.
    y = conv(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), kernel, 1, 0)
    y = y.reshape(b, h + 1, w + 1, 2, 2, features).transpose(0, 1, 3, 2, 4, 5)
    return y.reshape(b, 2 * h + 2, 2 * w + 2, features)[:, 1:-1, 1:-1]


def _input_gradient(dy: jax.Array, x, kernel: jax.Array, *, stride: int, padding: int) -> jax.Array:
    shape = x.aval

    def own(dy, kernel):
        whole = jax.ShapeDtypeStruct(shape.shape, shape.dtype)
        back = jax.linear_transpose(lambda x: direct(x, kernel, stride, padding), whole)
        return back(dy)[0]

    halves = (len(kernel), stride, padding) == (4, 2, 1) and shape.shape[1] % 2 == 0
    if halves and shape.shape[2] % 2 == 0 and shape.shape[1] >= 32:
        parts = input_gradient_by_parts
        return lax.platform_dependent(dy, kernel, cpu=parts, default=own)
    return own(dy, kernel)


def _kernel_gradient(dy: jax.Array, x: jax.Array, kernel, *, stride: int, padding: int):
    shape = kernel.aval
    size = shape.shape[0]

    def own(dy, x):
        whole = jax.ShapeDtypeStruct(shape.shape, shape.dtype)
        back = jax.linear_transpose(lambda kernel: direct(x, kernel, stride, padding), whole)
        return back(dy)[0]

    if size == 2 and stride == 1:
        taps = functools.partial(kernel_gradient_by_taps, size=2, stride=1, padding=padding)
        return lax.platform_dependent(dy, x, cpu=lambda dy, x: taps(x, dy), default=own)
    return own(dy, x)


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
_conv_p.def_impl(jax.jit(direct, static_argnames=("stride", "padding")))
_conv_p.def_abstract_eval(_abstract)
mlir.register_lowering(_conv_p, mlir.lower_fun(direct, multiple_results=False))
ad.defbilinear(_conv_p, _input_gradient, _kernel_gradient)
batching.primitive_batchers[_conv_p] = _batched
