"""VGG-16 and VGG-19 (Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556) up to a layer of choice: a
vector an image, by which losses compare images.

Convolutions of 3x3 and ReLU, with a maximum over 2x2 between blocks; the layers after them, a
classifier of ImageNet's classes, are left out.
"""

from collections.abc import Mapping

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.models.layers import Conv, Dtype

WIDTHS = (64, 128, 256, 512, 512)
CONVS: Mapping[int, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # by depth
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels in 0..1


class Vgg(nn.Module):
    """Images [B, H, W, 3] in [-1, 1] -> [B, C] float32, the mean over positions after a ReLU.

    depth: 16 or 19, as the paper counts layers.
    layer: "relu<block>_<convolution>", counted from 1, as is usual; "": the last one, before the
        last pool. Our source on XMC-GAN names none.
    image_size: side that images are resized to (bilinear, averaging where it shrinks them).
    """

    depth: int = 19
    layer: str = ""
    image_size: int = 224
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        """`train` changes nothing. Raises ValueError for another depth or layer."""
        chex.assert_shape(images, (None, None, None, 3))
        names = self.layers
        size = (images.shape[0], self.image_size, self.image_size, 3)
        pixels = (jax.image.resize(images, size, "bilinear") + 1.0) / 2.0
        x = ((pixels - jnp.asarray(_MEAN)) / jnp.asarray(_STD)).astype(self.dtype)
        for block, conv in names:
            if conv == 1 and block > 1:
                x = nn.max_pool(x, (2, 2), (2, 2))
            x = Conv(
                WIDTHS[block - 1],
                use_bias=True,
                kernel_init=nn.initializers.he_normal(),
                dtype=self.dtype,
                name=f"conv{block}_{conv}",
            )(x)
            x = nn.relu(x)
        return jnp.mean(x.astype(jnp.float32), axis=(1, 2))

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(block, convolution) of the convolutions up to the layer."""
        check_choice("depth", self.depth, CONVS)
        convs = enumerate(CONVS[self.depth], start=1)
        found = [(block, conv + 1) for block, count in convs for conv in range(count)]
        names = [f"relu{block}_{conv}" for block, conv in found]
        check_choice("layer", self.layer, ("", *names))
        return found[: names.index(self.layer or names[-1]) + 1]
