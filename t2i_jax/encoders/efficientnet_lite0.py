"""EfficientNet-Lite0: the variant for phones of EfficientNet-B0 (Tan and Le, ICML 2019, arXiv
1905.11946), without squeeze-and-excitation and with ReLU6 in place of swish.

A classifier of ImageNet's 1000 classes whose published weights are small, 19 MB. The weights were
trained in TensorFlow, whose "SAME" padding of a convolution with stride 2 puts the odd row and
column after the image; padding both sides alike gives other classes.
"""

from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.layers import BatchNorm, Dtype

PADDING = "SAME"  # TensorFlow's
EPSILON = 1e-3
STEM_WIDTH, HEAD_WIDTH, CLASSES = 32, 1280, 1000


class Block(NamedTuple):
    """An inverted bottleneck: a 1x1 convolution that expands, a depthwise one, a 1x1 projection."""

    expansion: int
    features: int
    kernel: int
    stride: int = 1


BLOCKS = (
    Block(1, 16, 3),
    *(Block(6, 24, 3, 2), Block(6, 24, 3)),
    *(Block(6, 40, 5, 2), Block(6, 40, 5)),
    *(Block(6, 80, 3, 2), Block(6, 80, 3), Block(6, 80, 3)),
    *(Block(6, 112, 5), Block(6, 112, 5), Block(6, 112, 5)),
    *(Block(6, 192, 5, 2), Block(6, 192, 5), Block(6, 192, 5), Block(6, 192, 5)),
    Block(6, 320, 3),
)


class Classified(NamedTuple):
    """features: [B, 1280] mean over positions before the classifier; logits: [B, 1000]."""

    features: jax.Array
    logits: jax.Array


class ConvUnit(nn.Module):
    """Convolution without bias and batch norm, named ``conv`` and ``bn``; ReLU6 where `active`."""

    features: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    active: bool = True
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = nn.Conv(
            self.features,
            (self.kernel, self.kernel),
            self.stride,
            padding=PADDING,
            feature_group_count=self.features if self.depthwise else 1,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=nn.initializers.he_normal(),
            name="conv",
        )(x)
        norm = BatchNorm(
            epsilon=EPSILON,
            axis_name=self.axis_name,
            dtype=self.dtype,
            scale_init=nn.initializers.ones_init(),
            name="bn",
        )
        x = norm(x, train)
        return jnp.clip(x, 0.0, 6.0) if self.active else x


class InvertedBottleneck(nn.Module):
    """One `Block`, added to its input where the shapes agree."""

    block: Block
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        block, shared = self.block, {"dtype": self.dtype, "axis_name": self.axis_name}
        width = x.shape[-1] * block.expansion
        y = x
        if block.expansion > 1:
            y = ConvUnit(width, **shared, name="expand")(y, train)
        y = ConvUnit(width, block.kernel, block.stride, depthwise=True, **shared, name="depthwise")(
            y, train
        )
        y = ConvUnit(block.features, active=False, **shared, name="project")(y, train)
        return x + y if x.shape == y.shape else y


class EfficientNetLite0(nn.Module):
    """Images [B, H, W, 3] in [-1, 1] -> `Classified`, float32.

    image_size: side that images are resized to (bilinear, averaging where it shrinks them); 224 is
        what the published weights were trained at.
    axis_name: of the batch statistics, see `t2i_jax.axis`.
    """

    image_size: int = 224
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> Classified:
        chex.assert_shape(images, (None, None, None, 3))
        shared = {"dtype": self.dtype, "axis_name": self.axis_name}
        size = (images.shape[0], self.image_size, self.image_size, 3)
        pixels = (jax.image.resize(images, size, "bilinear") + 1.0) * 127.5
        x = ((pixels - 127.0) / 128.0).astype(self.dtype)
        x = ConvUnit(STEM_WIDTH, 3, 2, **shared, name="stem")(x, train)
        for i, block in enumerate(BLOCKS):
            x = InvertedBottleneck(block, **shared, name=f"block{i}")(x, train)
        x = ConvUnit(HEAD_WIDTH, **shared, name="head")(x, train)
        features = jnp.mean(x.astype(jnp.float32), axis=(1, 2))
        logits = nn.Dense(CLASSES, dtype=self.dtype, name="fc")(features)
        return Classified(features, logits.astype(jnp.float32))
