"""A small image network, trained jointly with a text encoder where no precomputed features exist.

Reed et al. (2016) match texts with the pooled features of a GoogLeNet trained on ImageNet. Where
there is none, this network takes its place: strided convolutions with batch norm, the mean over
positions, a linear layer. It is this library's own and belongs to no paper.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.layers import BatchNorm, Conv, Dtype, leaky_relu


class SmallImageNet(nn.Module):
    """Images [B, H, W, 3] in [-1, 1] -> vectors [B, embedding].

    widths: channels of the convolutions, each of which halves H and W.
    embedding: size of the vector; the text encoder's.
    pooled: whether the linear layer reads the mean over positions, of images of any size, or every
        position by itself, of images of one size: for what is always at about the same place.
    axis_name: batch statistics are those of the global batch, see `t2i_jax.axis`.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256)
    embedding: int = 1024
    pooled: bool = True
    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        """Raises ValueError where the images are too small to be halved that often, AssertionError
        where they are not [B, H, W, 3].
        """
        chex.assert_shape(images, (None, None, None, 3))
        if min(images.shape[1:3]) < 2 ** len(self.widths):
            raise ValueError(
                f"images of {images.shape[1:3]} cannot be halved {len(self.widths)} times; "
                f"give larger images or fewer widths than {self.widths}"
            )
        x = images
        for i, width in enumerate(self.widths, start=1):
            x = Conv(width, kernel=4, stride=2, dtype=self.dtype, name=f"conv{i}")(x)
            x = BatchNorm(axis_name=self.axis_name, dtype=self.dtype, name=f"bn{i}")(x, train)
            x = leaky_relu(x)
        x = jnp.mean(x, axis=(1, 2)) if self.pooled else x.reshape(len(x), -1)
        return nn.Dense(self.embedding, dtype=self.dtype, name="proj")(x).astype(jnp.float32)
