"""The style encoder S of Reed et al. (ICML 2016), section 4.4: an image to the noise that made it.

The paper gives neither its layers nor any code. Here it is the discriminator's image trunk with
every activation in place, and one 4x4 convolution to the noise.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.gan_int_cls import ImageTrunk
from t2i_jax.models.layers import Conv, Dtype


class StyleEncoder(nn.Module):
    """[B, H, W, 3] in [-1, 1] -> [B, noise_dim] float32.

    image_size: H = W, a power of two >= 32.
    channels: width at 32 px.
    noise_dim: width of the generator's noise.
    axis_name: mapped axis over which batch norm reduces.
    """

    image_size: int = 64
    channels: int = 64
    noise_dim: int = 100
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        x = ImageTrunk(
            self.image_size,
            self.channels,
            variant="cls",
            dtype=self.dtype,
            axis_name=self.axis_name,
            name="trunk",
        )(images, train)
        x = Conv(
            self.noise_dim, kernel=4, padding=0, use_bias=True, dtype=self.dtype, name="style"
        )(x)
        return x.reshape(x.shape[0], self.noise_dim).astype(jnp.float32)
