"""ResNet-50 as the release of XMC-GAN has it, for its loss by a network of images.

He et al. (CVPR 2016, arXiv 1512.03385), with the stride on the 3x3 convolutions. What differs from
the usual: images in [0, 1] as they are, no ReLU after the first norm, TensorFlow's padding, and the
vector is the 1000 logits.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.layers import BatchNorm, Dtype

STAGES = (3, 4, 6, 3)  # blocks
CLASSES, IMAGE_SIZE = 1000, 224


class _Layers(nn.Module):
    """What gives a block its convolutions, ``conv<name>``, and norms, ``bn<name>``."""

    dtype: Dtype = jnp.float32

    def unit(self, x, features: int, kernel: int, stride: int, names: tuple[str, str]):
        """A convolution without bias and a norm in evaluation mode."""
        x = nn.Conv(
            features,
            (kernel, kernel),
            stride,
            padding="SAME",
            use_bias=False,
            kernel_init=nn.initializers.he_normal(),
            dtype=self.dtype,
            name=names[0],
        )(x)
        ones = nn.initializers.ones_init()
        return BatchNorm(scale_init=ones, dtype=self.dtype, name=names[1])(x, False)


class Block(_Layers):
    """A bottleneck of 1x1, 3x3 and 1x1; its shortcut is a convolution where the shape changes."""

    features: int = 64
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] -> [B, H / stride, W / stride, 4 * features]."""
        shortcut, out = x, 4 * self.features
        if self.stride > 1 or x.shape[-1] != out:
            shortcut = self.unit(x, out, 1, self.stride, ("proj_conv", "proj_bn"))
        x = nn.relu(self.unit(x, self.features, 1, 1, ("conv1", "bn1")))
        x = nn.relu(self.unit(x, self.features, 3, self.stride, ("conv2", "bn2")))
        return nn.relu(shortcut + self.unit(x, out, 1, 1, ("conv3", "bn3")))


class Stage(nn.Module):
    """Blocks of one width, of which the first may halve the resolution."""

    blocks: int
    features: int
    stride: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i in range(self.blocks):
            block = Block(
                features=self.features,
                stride=1 if i else self.stride,
                dtype=self.dtype,
                name=f"block{i + 1}",
            )
            x = block(x)
        return x


class ResNet50(_Layers):
    """Images [B, H, W, 3] in [-1, 1] -> [B, 1000] logits, float32.

    Images are resized to 224x224, bilinear, averaging where that shrinks them.
    """

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        """`train` changes nothing: the network is used as it is."""
        chex.assert_shape(images, (None, None, None, 3))
        size = (images.shape[0], IMAGE_SIZE, IMAGE_SIZE, 3)
        x = jax.image.resize((images + 1.0) / 2.0, size, "bilinear").astype(self.dtype)
        x = self.unit(x, 64, 7, 2, ("init_conv", "init_bn"))
        x = nn.max_pool(x, (3, 3), (2, 2), padding="SAME")
        for i, blocks in enumerate(STAGES):
            stage = Stage(blocks, 64 * 2**i, 2 if i else 1, self.dtype, name=f"stage{i + 1}")
            x = stage(x)
        pooled = jnp.mean(x.astype(jnp.float32), axis=(1, 2))
        self.sow("intermediates", "pooled", pooled)
        return nn.Dense(CLASSES, name="head")(pooled)
