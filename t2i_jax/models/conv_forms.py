"""Exact forms of one convolution and of its gradients; `conv` takes the fastest on CPUs."""

import jax
import jax.numpy as jnp
from jax import lax

DIMS = ("NHWC", "HWIO", "NHWC")


def direct(x: jax.Array, kernel: jax.Array, stride: int = 1, padding: int = 1) -> jax.Array:
    """XLA's own convolution: a map [B, H, W, C] with a square kernel [k, k, C, O] and symmetric
    zero padding.
    """
    pad = ((padding, padding),) * 2
    return lax.conv_general_dilated(x, kernel, (stride,) * 2, pad, dimension_numbers=DIMS)


def as_product(x: jax.Array, kernel: jax.Array, stride: int = 1, padding: int = 1) -> jax.Array:
    """One matrix product of all patches with the kernel; its gradient with respect to `x` adds up
    overlapping patches of another product, instead of a convolution with inserted zeros.

    The stride divides the kernel's side.
    """
    k, _, c, features = kernel.shape
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    x = _windows(_windows(x, k, stride, 1), k, stride, 3).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(*x.shape[:3], k * k * c) @ kernel.reshape(k * k * c, features)


def _windows(x: jax.Array, size: int, stride: int, axis: int) -> jax.Array:
    """The axis as two: windows and the places in them. Of blocks as long as the stride, so that a
    few slices do, which compile quickly.
    """
    *before, length = x.shape[: axis + 1]
    after = x.shape[axis + 1 :]
    blocks, count = size // stride, (length - size) // stride + 1
    x = lax.slice_in_dim(x, 0, (count + blocks - 1) * stride, axis=axis)
    x = x.reshape(*before, count + blocks - 1, stride, *after)
    parts = [lax.slice_in_dim(x, i, i + count, axis=axis) for i in range(blocks)]
    return jnp.stack(parts, axis + 1).reshape(*before, count, size, *after)


def in_blocks(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The map and the kernel of 2x2, stride 1, without padding, whose convolution is that of 4x4,
    stride 2, padding 1: the 2x2 blocks of the padded map [B, H/2 + 1, W/2 + 1, 4C] and
    [2, 2, 4C, O]. H and W are even.
    """
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    kernel = kernel.reshape(2, 2, 2, 2, c, -1).transpose(0, 2, 1, 3, 4, 5)
    return x.reshape(b, h // 2, w // 2, 4 * c), kernel.reshape(2, 2, 4 * c, -1)


def patches(x: jax.Array, size: int, stride: int = 1, padding: int = 1) -> list[jax.Array]:
    """What each tap of a kernel meets, row by row: maps [B, h, w, C]."""
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows, columns = ((side - size) // stride * stride + 1 for side in x.shape[1:3])
    return [
        x[:, i : i + rows : stride, j : j + columns : stride]
        for i in range(size)
        for j in range(size)
    ]


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


def kernel_gradient_of_few(x: jax.Array, dy: jax.Array) -> jax.Array:
    """Of a 3x3 convolution, padding 1, to few features: [B, H, W, C] and [B, H, W, O] ->
    [3, 3, C, O], as one product with the patches of the result's gradient, which are small.
    """
    c, features = x.shape[-1], dy.shape[-1]
    taps = jnp.concatenate(patches(dy, 3)[::-1], axis=-1).reshape(-1, 9 * features)
    product = jnp.einsum("nc,no->co", x.reshape(-1, c), taps)
    return product.reshape(c, 3, 3, features).transpose(1, 2, 0, 3)


def kernel_gradient_by_strips(x: jax.Array, dy: jax.Array) -> jax.Array:
    """Of a 3x3 convolution, padding 1: [B, H, W, C] and [B, H, W, O] -> [3, 3, C, O], summed over
    eight strips of rows. XLA:CPU lays a map out channel by channel for it; channels that are a
    large power of two apart take the same few lines of the processor's cache.
    """
    rows = x.shape[1] // 8
    kernel = jax.ShapeDtypeStruct((3, 3, x.shape[-1], dy.shape[-1]), x.dtype)
    x = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))

    def strip(begin):
        def form(kernel):
            sides = (0, 0), (1, 1)
            part = x[:, begin : begin + rows + 2]
            return lax.conv_general_dilated(part, kernel, (1, 1), sides, dimension_numbers=DIMS)

        return jax.linear_transpose(form, kernel)(dy[:, begin : begin + rows])[0]

    return sum(strip(rows * i) for i in range(8))
