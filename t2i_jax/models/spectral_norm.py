"""Spectral normalisation of convolutions.

Miyato et al., arXiv 1802.05957, in the form that DM-GAN, DR-GAN and XMC-GAN use: one power
iteration at every call, in training and in evaluation alike.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax.models.convolutions import Map, channels, convolve, pooled
from t2i_jax.models.gated_stages import ORTHOGONAL
from t2i_jax.models.layers import Dtype, uniform_init


class SpectralConv(nn.Module):
    """A convolution with bias whose kernel is divided by its largest singular value.

    The kernel counts as a matrix of (inputs, features). Its left and right singular vectors live in
    the collection ``spectral`` as ``v`` and ``u``; a call starts from the stored u, and stores what
    it finds where the collection is mutable. The gradient goes through the singular value, not
    through its vectors. All of this is float32; the divided kernel is then cast to ``dtype``.

    bias_init: None: uniform up to the inverse root of the number of inputs, as PyTorch has it.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    kernel_init: Callable = ORTHOGONAL
    bias_init: Callable | None = None
    dtype: Dtype = jnp.float32

    pools: ClassVar[bool] = False

    @nn.compact
    def __call__(self, x: Map, train: bool) -> jax.Array:
        """[B, H, W, C] -> [B, H', W', features]; of vectors [B, C], with a kernel of 1: [B,
        features]. ``train`` is not read: it makes the call that of `layers.ConvNorm`.
        """
        vectors = not isinstance(x, tuple) and x.ndim == 2
        x = x[:, None, None] if vectors else x
        shape = (self.kernel, self.kernel, channels(x), self.features)
        kernel = _Kernel(shape, self.kernel_init, name="conv")()
        matrix = kernel.reshape(-1, self.features)
        fan_in = matrix.shape[0]
        u = self.variable("spectral", "u", self._direction, self.features)
        v = self.variable("spectral", "v", self._direction, fan_in)
        fixed = lax.stop_gradient(matrix)
        left = _unit(fixed @ u.value)
        right = _unit(left @ fixed)
        if self.is_mutable_collection("spectral") and not self.is_initializing():
            u.value, v.value = right, left
        sigma = left @ matrix @ right
        x = jax.tree.map(lambda part: part.astype(self.dtype), x)
        kernel = (kernel / sigma).astype(self.dtype)
        if self.pools:
            y = convolve(x, pooled(kernel), stride=2)
        else:
            y = convolve(x, kernel, self.stride, self.padding)
        bias_init = self.bias_init or uniform_init(fan_in**-0.5)
        bias = self.param("bias", bias_init, (self.features,), jnp.float32)
        y = y + bias.astype(self.dtype)
        return y[:, 0, 0] if vectors else y

    def _direction(self, size: int) -> jax.Array:
        return _unit(jax.random.normal(self.make_rng("params"), (size,), jnp.float32))


class PooledSpectralConv(SpectralConv):
    """A `SpectralConv` of 3x3 with the mean of 2x2 positions after it, computed as one convolution:
    [B, H, W, C] -> [B, H / 2, W / 2, features].
    """

    pools: ClassVar[bool] = True


class _Kernel(nn.Module):
    """The parameter ``kernel`` under the name that it has in `layers.ConvNorm`."""

    shape: Sequence[int]
    init_fn: Callable

    @nn.compact
    def __call__(self) -> jax.Array:
        return self.param("kernel", self.init_fn, tuple(self.shape), jnp.float32)


def _unit(x: jax.Array) -> jax.Array:
    return x / (jnp.linalg.norm(x) + 1e-12)
