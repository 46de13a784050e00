"""VGG-16 and VGG-19 (Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556): a vector an image, of a
convolution of choice, by which losses compare images, or of the second linear layer after them, by
which precision and recall of images do (Kynkäänniemi et al., NeurIPS 2019, arXiv 1904.06991).

Convolutions of 3x3 and ReLU, with a maximum over 2x2 between blocks.
"""

from collections.abc import Mapping, Sequence

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.models.layers import Conv, Dtype

WIDTHS = (64, 128, 256, 512, 512)
CONVS: Mapping[int, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # by depth
FC2_SIDE = 224  # of images; the linear layers read every position
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
        x = _convolved(jax.image.resize(images, size, "bilinear"), names, self.dtype)
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


class VggFc2(nn.Module):
    """Images [B, 224, 224, 3] in [-1, 1] -> ``{"fc2": [B, hidden], "fc2_relu": [B, hidden]}`` of
    VGG-16, before and after the ReLU.
    """

    hidden: int = 4096

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> dict[str, jax.Array]:
        """`train` changes nothing."""
        chex.assert_shape(images, (None, FC2_SIDE, FC2_SIDE, 3))
        x = nn.max_pool(_convolved(images, Vgg(16).layers, jnp.float32), (2, 2), (2, 2))
        x = nn.relu(nn.Dense(self.hidden, name="fc1")(x.reshape(len(x), -1)))
        x = nn.Dense(self.hidden, name="fc2")(x)
        return {"fc2": x, "fc2_relu": nn.relu(x)}


def _convolved(images: jax.Array, names: Sequence[tuple[int, int]], dtype: Dtype) -> jax.Array:
    """The convolutions of these (block, number), within the module that calls."""
    pixels = (images + 1.0) / 2.0
    x = ((pixels - jnp.asarray(_MEAN)) / jnp.asarray(_STD)).astype(dtype)
    for block, conv in names:
        if conv == 1 and block > 1:
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = Conv(
            WIDTHS[block - 1],
            use_bias=True,
            kernel_init=nn.initializers.he_normal(),
            dtype=dtype,
            name=f"conv{block}_{conv}",
        )(x)
        x = nn.relu(x)
    return x
