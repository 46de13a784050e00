"""Convolutions in several exact forms: the same numbers for less work, or in less time.

All take the published kernels [k, k, C, O] and NHWC maps, and can be differentiated any number of
times, in both modes. `convolve` chooses a form that costs fewer FLOPs by static shapes; `conv.conv`
chooses what only a measurement decides.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from t2i_jax.models.conv import conv, interleaved
from t2i_jax.models.conv_forms import in_blocks


class Upsampled(NamedTuple):
    """The map of twice the size, by nearest neighbours, of ``small`` [B, H, W, C]."""

    small: jax.Array


class Joined(NamedTuple):
    """Channels side by side, of maps [B, H, W, C] and of vectors [B, N], which stand at every
    position.
    """

    parts: tuple[jax.Array, ...]


Map = jax.Array | Upsampled | Joined


def channels(x: Map) -> int:
    """Of the map that `x` stands for."""
    return sum(part.shape[-1] for part in jax.tree.leaves(x))


def convolve(x: Map, kernel: jax.Array, stride: int = 1, padding: int = 1) -> jax.Array:
    """A map [B, H, W, C] with a square kernel [k, k, C, O] and symmetric zero padding."""
    if isinstance(x, Joined):
        return _convolve_joined(x.parts, kernel, stride, padding)
    size = len(kernel), stride, padding
    if isinstance(x, Upsampled):
        # On smaller maps a CPU wins nothing by it.
        if size == (3, 1, 1) and x.small.shape[1] >= 8:
            return convolve_upsampled(x.small, kernel)
        return convolve(upsample_nearest(x.small), kernel, stride, padding)
    _, h, w, c = x.shape
    if size == (4, 2, 1) and h % 2 == w % 2 == 0 and c <= 4:
        return conv(*in_blocks(x, kernel), 1, 0)
    return conv(x, kernel, stride, padding)


def upsample_nearest(x: jax.Array, factor: int = 2) -> jax.Array:
    """Nearest-neighbour upsampling: [B, H, W, C] -> [B, f*H, f*W, C]."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None, :], (b, h, factor, w, factor, c))
    return x.reshape(b, h * factor, w * factor, c)


def tile_to(vector: jax.Array, feature_map: jax.Array) -> jax.Array:
    """Copies a vector [B, C] to every position of a map: -> [B, H, W, C]."""
    b, h, w, _ = feature_map.shape
    return jnp.broadcast_to(vector[:, None, None, :], (b, h, w, vector.shape[-1]))


def _convolve_joined(
    parts: tuple[jax.Array, ...], kernel: jax.Array, stride: int, padding: int
) -> jax.Array:
    """The parts' convolutions summed. A vector's is the same wherever the kernel meets no border,
    so it is computed for a map of the kernel's size and its middle copied.
    """
    maps = [part for part in parts if part.ndim == 4]
    k, (_, h, w, _) = len(kernel), maps[0].shape
    # At 4 px there is little to save.
    if stride != 1 or k != 2 * padding + 1 or h < 8:
        whole = [x if x.ndim == 4 else tile_to(x, maps[0]) for x in parts]
        return convolve(jnp.concatenate(whole, axis=-1), kernel, stride, padding)
    total, at = 0.0, 0
    for part in parts:
        own = kernel[:, :, at : at + part.shape[-1]]
        at += part.shape[-1]
        if part.ndim == 4:
            total += convolve(part, own, stride, padding)
            continue
        small = (part.shape[0], k, k, part.shape[-1])
        y = conv(jnp.broadcast_to(part[:, None, None], small), own, stride, padding)
        total += _stretched(_stretched(y, h, 1, padding), w, 2, padding)
    return total


def _stretched(x: jax.Array, size: int, axis: int, border: int) -> jax.Array:
    """The rows of the map with the middle one repeated until there are `size`."""
    first, middle, last = jnp.split(x, [border, border + 1], axis)
    shape = list(x.shape)
    shape[axis] = size - 2 * border
    return jnp.concatenate([first, jnp.broadcast_to(middle, shape), last], axis)


def convolve_upsampled(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 3x3 convolution, padding 1, of the map twice as large by nearest neighbours:
    [B, H, W, C] -> [B, 2H, 2W, O].

    Two of three taps meet the same pixel of the small map, so each of the four interleaved
    sub-images is a 2x2 convolution of it: 16 products a pixel instead of 36.
    """
    # Output row 2i - 1 + p takes input rows i - 1 and i: the first tap or the last one alone, the
    # two others summed.
    first, middle, last = kernel
    rows = jnp.stack([first + middle, last, first, middle + last])
    first, middle, last = rows[:, 0], rows[:, 1], rows[:, 2]
    taps = jnp.stack([first + middle, last, first, middle + last], axis=1)
    c, features = kernel.shape[2:]
    return interleaved(x, taps.reshape(2, 2, 2, 2, c, features))


def pooled(kernel: jax.Array) -> jax.Array:
    """A 3x3 kernel and the mean of 2x2 positions after it, as one kernel [4, 4, C, O] of stride 2
    and padding 1: 16 products for each mean instead of 36.
    """
    for axis in (0, 1):
        # Each tap and the one before it. Sums of padded kernels would all be held at once.
        taps = jnp.split(kernel, 3, axis)
        edges = [taps[0], taps[0] + taps[1], taps[1] + taps[2], taps[2]]
        kernel = jnp.concatenate(edges, axis)
    return kernel / 4
