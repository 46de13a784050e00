"""Spectral normalisation of convolutions.

Miyato et al., arXiv 1802.05957, in the form that DM-GAN and DR-GAN use: one power iteration at
every call, in training and in evaluation alike.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax.models.gated_stages import ORTHOGONAL
from t2i_jax.models.layers import Conv, Dtype, uniform_init


class SpectralConv(nn.Module):
    """A convolution with bias whose kernel is divided by its largest singular value.

    The kernel counts as a matrix of (inputs, features). Its left and right singular vectors live in
    the collection ``spectral`` as ``v`` and ``u``; a call starts from the stored u, and stores what
    it finds where the collection is mutable. The gradient goes through the singular value, not
    through its vectors.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    kernel_init: Callable = ORTHOGONAL
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """``train`` is not read: it makes the call that of `layers.ConvNorm`."""
        conv = Conv(
            self.features,
            self.kernel,
            self.stride,
            self.padding,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="conv",
        )
        y = conv(x)
        matrix = conv.get_variable("params", "kernel").reshape(-1, self.features)
        fan_in = matrix.shape[0]
        u = self.variable("spectral", "u", self._direction, self.features)
        v = self.variable("spectral", "v", self._direction, fan_in)
        fixed = lax.stop_gradient(matrix)
        left = _unit(fixed @ u.value)
        right = _unit(left @ fixed)
        if self.is_mutable_collection("spectral") and not self.is_initializing():
            u.value, v.value = right, left
        sigma = left @ matrix @ right
        bias = self.param("bias", uniform_init(fan_in**-0.5), (self.features,), jnp.float32)
        return y / sigma.astype(self.dtype) + bias.astype(self.dtype)

    def _direction(self, size: int) -> jax.Array:
        return _unit(jax.random.normal(self.make_rng("params"), (size,), jnp.float32))


def _unit(x: jax.Array) -> jax.Array:
    return x / (jnp.linalg.norm(x) + 1e-12)
