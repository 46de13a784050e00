"""The stages from which StackGAN-v2's generator and those of its successors are built: each doubles
the side of a feature map and halves its width.

Zhang et al., "StackGAN++" (arXiv 1710.10916), with the layers of the authors' release. Activations
are gated linear units, so a convolution in front of one makes twice the channels that leave it.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.convolutions import Joined, Upsampled
from t2i_jax.models.layers import BatchNorm, ConvNorm, Dtype, glu
from t2i_jax.models.orthogonal import orthogonal

ORTHOGONAL = orthogonal  # of all kernels


class FirstStage(nn.Module):
    """[B, N] -> [B, 4 * 2^ups, 4 * 2^ups, features]: a linear layer to 4x4, then up-blocks that
    halve the width.
    """

    features: int
    ups: int
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        width = self.features * 2**self.ups
        norm = dict(axis_name=self.axis_name, dtype=self.dtype)
        x = nn.Dense(
            32 * width, use_bias=False, kernel_init=ORTHOGONAL, dtype=self.dtype, name="fc"
        )(x)
        x = glu(BatchNorm(name="bn", **norm)(x, train))
        # Channel-major, as in the release: each half of the gate then holds whole channels.
        x = x.reshape(-1, width, 4, 4).transpose(0, 2, 3, 1)
        for i in range(1, self.ups + 1):
            block = ConvNorm(x.shape[-1], kernel_init=ORTHOGONAL, name=f"up{i}", **norm)
            x = glu(block(Upsampled(x), train))
        return x


class Residual(nn.Module):
    """x + h(x): two convolutions, gated after the first; no activation after the sum."""

    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        common = dict(kernel_init=ORTHOGONAL, dtype=self.dtype, axis_name=self.axis_name)
        h = glu(ConvNorm(2 * x.shape[-1], name="block1", **common)(x, train))
        return x + ConvNorm(x.shape[-1], name="block2", **common)(h, train)


class NextStage(nn.Module):
    """A map [B, H, W, C] and a condition [B, N] -> [B, 2H, 2W, C / 2], or [B, H, W, C] without the
    upsampling.
    """

    residual_blocks: int
    upsample: bool = True
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array, train: bool) -> jax.Array:
        norm = dict(axis_name=self.axis_name, dtype=self.dtype)
        width = x.shape[-1]
        join = ConvNorm(2 * width, kernel_init=ORTHOGONAL, name="join", **norm)
        x = glu(join(Joined((condition, x)), train))
        for i in range(1, self.residual_blocks + 1):
            x = Residual(name=f"res{i}", **norm)(x, train)
        if self.upsample:
            block = ConvNorm(width, kernel_init=ORTHOGONAL, name="up", **norm)
            x = glu(block(Upsampled(x), train))
        return x
