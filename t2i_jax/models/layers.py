"""Blocks that two or more systems share.

All modules take and return NHWC arrays. ``dtype`` is the compute dtype; parameters are float32. The
batch norm keeps PyTorch's and Torch7's convention, because every system here except XMC-GAN was
published in one of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax import axis
from t2i_jax.models import conv, convolutions
from t2i_jax.models.convolutions import Map

Dtype = Any


def check_noise(
    noise: Mapping[str, jax.Array], shapes: Mapping[str, Sequence[int]], rows: int
) -> None:
    """Raises AssertionError unless `noise` holds [rows, *shape] for each of a generator's
    ``noise_shapes``.
    """
    for name, shape in shapes.items():
        chex.assert_shape(noise[name], (rows, *shape))


def check_same_rows(feature_map: jax.Array, vector: jax.Array) -> None:
    """Raises AssertionError unless a map is [B, H, W, C] and a vector [B, N], with the same B."""
    chex.assert_rank([feature_map, vector], [4, 2])
    chex.assert_equal_shape([feature_map, vector], dims=0)


def uniform_init(bound: float) -> Callable:
    """Initializer: uniform in [-bound, bound)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -bound, bound
    )


def leaky_relu(x: jax.Array) -> jax.Array:
    """LeakyReLU with slope 0.2, the slope of every system in this library."""
    return nn.leaky_relu(x, 0.2)


def normalized(x: jax.Array) -> jax.Array:
    """Vectors of length 1 along the last axis; those of 0 stay 0."""
    square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return x * lax.rsqrt(jnp.maximum(square, 1e-12))


class Conv(nn.Module):
    """`convolutions.convolve` with a kernel of its own, no bias unless asked for."""

    features: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    use_bias: bool = False
    dtype: Dtype = jnp.float32
    kernel_init: Callable = nn.initializers.normal(0.02)
    bias_init: Callable = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, x: Map) -> jax.Array:
        shape = (self.kernel, self.kernel, convolutions.channels(x), self.features)
        w = self.param("kernel", self.kernel_init, shape, jnp.float32).astype(self.dtype)
        x = jax.tree.map(lambda part: part.astype(self.dtype), x)
        y = convolutions.convolve(x, w, self.stride, self.padding)
        if self.use_bias:
            y = y + self.param("bias", self.bias_init, (self.features,), jnp.float32).astype(
                self.dtype
            )
        return y


class DoublingConvTranspose(nn.Module):
    """Transposed convolution, kernel 4, stride 2, padding 1: doubles H and W.

    ``kernel[a, b, i, o]`` is PyTorch's ``weight[i, o, a, b]``; see `conv.doubled`. The dilated form
    that XLA's own transposed convolution takes multiplies by inserted zeros: on CPU it is 4 to 6
    times slower.
    """

    features: int
    use_bias: bool = False
    dtype: Dtype = jnp.float32
    kernel_init: Callable = nn.initializers.normal(0.02)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c = x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (4, 4, c, self.features), jnp.float32)
        y = conv.doubled(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
            y = y + bias.astype(self.dtype)
        return y


class BatchNorm(nn.Module):
    """Batch norm in the convention of PyTorch and Torch7, over all axes but the last.

    Normalises with the biased variance; the running variance takes the unbiased one (n / (n - 1)),
    which Flax's own layer does not. ``axis_name`` makes the statistics those of the global batch.
    Statistics are float32 whatever ``dtype`` is.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    axis_name: str | None = None
    dtype: Dtype = jnp.float32
    scale_init: Callable = lambda key, shape, dtype: (
        1.0 + 0.02 * jax.random.normal(key, shape, dtype)
    )

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        channels = (x.shape[-1],)
        scale = self.param("scale", self.scale_init, channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), channels, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)
        if train:
            axes = tuple(range(x.ndim - 1))
            x32 = x.astype(jnp.float32)
            count = x.size // x.shape[-1] * axis.size(self.axis_name)
            mean = axis.mean(jnp.mean(x32, axes), self.axis_name)
            # Two passes: E[x^2] - E[x]^2 loses digits where the mean is large.
            var = axis.mean(jnp.mean(jnp.square(x32 - mean), axes), self.axis_name)
            if not self.is_initializing():
                keep, m = 1.0 - self.momentum, self.momentum
                unbiased = var * (count / max(count - 1, 1))
                running_mean.value = keep * running_mean.value + m * lax.stop_gradient(mean)
                running_var.value = keep * running_var.value + m * lax.stop_gradient(unbiased)
        else:
            mean, var = running_mean.value, running_var.value
        gain = scale * lax.rsqrt(var + self.epsilon)
        return ((x.astype(jnp.float32) - mean) * gain + bias).astype(self.dtype)


def glu(x: jax.Array) -> jax.Array:
    """Gated linear unit: the first half of the channels times the sigmoid of the second."""
    value, gate = jnp.split(x, 2, axis=-1)
    return value * nn.sigmoid(gate)


class ConvNorm(nn.Module):
    """`Conv` without bias, then `BatchNorm`: named ``conv`` and ``bn``."""

    features: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    kernel_init: Callable = nn.initializers.normal(0.02)
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Map, train: bool) -> jax.Array:
        x = Conv(
            self.features,
            self.kernel,
            self.stride,
            self.padding,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="conv",
        )(x)
        return BatchNorm(axis_name=self.axis_name, dtype=self.dtype, name="bn")(x, train)
