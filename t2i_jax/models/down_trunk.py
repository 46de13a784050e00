"""The image half of StackGAN's discriminators, and their output layer.

StackGAN (both versions), AttnGAN and DM-GAN share these layers; they differ in how the condition is
joined to them.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.images import check_images, check_side
from t2i_jax.models.layers import Conv, ConvNorm, Dtype, leaky_relu, uniform_init


class DownTrunk(nn.Module):
    """[B, S, S, 3] -> [B, 4, 4, 8 * channels] (fewer below 64 px).

    Strided 4x4 convolutions, doubling the width from `channels` on, down to 4x4; then 3x3
    convolutions that halve the width back to 8 * channels. LeakyReLU after each, batch norm after
    all but the first. Layers are numbered: ``conv1``, ``block2``, ``block3``, ...

    image_size: S, a power of two >= 8.
    axis_name: mapped axis over which batch norm reduces.
    """

    image_size: int
    channels: int
    kernel_init: Callable = nn.initializers.normal(0.02)
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        """Raises ValueError for images of another size."""
        check_side("image_size", self.image_size, 8)
        check_images(images, self.image_size)
        common = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        x = Conv(self.channels, kernel=4, stride=2, name="conv1", **common)(images)
        x, i = leaky_relu(x), 2
        while x.shape[1] > 4:
            block = ConvNorm(
                2 * x.shape[-1],
                kernel=4,
                stride=2,
                axis_name=self.axis_name,
                name=f"block{i}",
                **common,
            )
            x, i = leaky_relu(block(x, train)), i + 1
        while x.shape[-1] > 8 * self.channels:
            block = ConvNorm(x.shape[-1] // 2, axis_name=self.axis_name, name=f"block{i}", **common)
            x, i = leaky_relu(block(x, train)), i + 1
        return x


class Logit(nn.Module):
    """[B, 4, 4, C] -> [B] float32: one 4x4 convolution whose bias starts as PyTorch's does."""

    kernel_init: Callable = nn.initializers.normal(0.02)
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = Conv(
            1,
            kernel=4,
            padding=0,
            use_bias=True,
            kernel_init=self.kernel_init,
            bias_init=uniform_init((16 * x.shape[-1]) ** -0.5),
            dtype=self.dtype,
            name="conv",
        )(x)
        return y.reshape(-1).astype(jnp.float32)
