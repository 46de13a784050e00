"""XMC-GAN's discriminator: a critic of images with their sentences, and the encoder whose features
the contrastive losses compare.

Zhang et al. (CVPR 2021, arXiv 2101.04702), section 4.2, with the layers of the authors' release,
which takes region features before the activation and sums over positions without dividing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.models.images import check_images
from t2i_jax.models.layers import Dtype
from t2i_jax.models.modulation import GLOROT
from t2i_jax.models.spectral_norm import PooledSpectralConv, SpectralConv

GRID = 16  # side of the map of region features
# Widths of the blocks by the image's side, as multiples of `channels`; 128 and 256 px published.
# All blocks but the last halve the resolution.
WIDTHS = {
    32: (1, 2, 4, 8),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
}


class Features(NamedTuple):
    """grid: [B, 16, 16, C'] where the regions are. pooled: [B, C], summed over the last map."""

    grid: jax.Array
    pooled: jax.Array


class Encoded(NamedTuple):
    """What the contrastive losses compare: image [B, C], sentence [B, C], and regions [B, 256, E]
    that are comparable with words of width E; None where words are not read.
    """

    image: jax.Array
    sentence: jax.Array
    regions: jax.Array | None


class DownBlock(nn.Module):
    """Residual block. first: of an image, without an activation before its first convolution, and
    whose shortcut is reduced before its convolution. down: halves the resolution.
    """

    features: int
    first: bool = False
    down: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        h = x if self.first else nn.relu(x)
        h = _spectral(self.features, self.dtype, 3, name="conv1")(h, train)
        last = PooledSpectralConv if self.down else SpectralConv
        h = _spectral(self.features, self.dtype, 3, last, name="conv2")(nn.relu(h), train)
        if self.down or x.shape[-1] != self.features:
            # Means of positions commute with a convolution of single positions.
            x = _halved(x) if self.down else x
            x = _spectral(self.features, self.dtype, name="shortcut")(x, train)
        return x + h


def _halved(x: jax.Array) -> jax.Array:
    return nn.avg_pool(x, (2, 2), (2, 2))


def _spectral(
    features: int,
    dtype: Dtype,
    kernel: int = 1,
    kind: type[SpectralConv] = SpectralConv,
    **fields,
) -> SpectralConv:
    return kind(
        features,
        kernel,
        padding=kernel // 2,
        kernel_init=GLOROT,
        bias_init=nn.initializers.zeros_init(),
        dtype=dtype,
        **fields,
    )


class Head(nn.Module):
    """Projection of features for the contrastive losses: `layers` layers of the features' own
    width, ReLU between them; none: the features themselves.
    """

    layers: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        for i in range(self.layers):
            x = nn.relu(x) if i else x
            x = _spectral(x.shape[-1], self.dtype, name=f"layer{i}")(x, train)
        return x


class Regions(nn.Module):
    """Region features of the width of words."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, grid: jax.Array, width: int, train: bool) -> jax.Array:
        return _spectral(width, self.dtype, name="conv")(grid, train)


class Discriminator(nn.Module):
    """Whether an image is real and fits its sentence, by the projection of Miyato and Koyama (ICLR
    2018); and its features.

    channels: channel base (``df_dim``); 96 is published.
    image_size: side of the images: 32, 64, 128 or 256.
    head_layers: depth of the projection heads before the contrastive losses; the paper and the
        release have none, Figure 5 compares others.
    """

    channels: int = 96
    image_size: int = 256
    head_layers: int = 0
    dtype: Dtype = jnp.float32

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the blocks."""
        return tuple(m * self.channels for m in WIDTHS[self.image_size])

    def setup(self):
        check_choice("image_size", self.image_size, WIDTHS)
        if self.head_layers < 0:
            raise ValueError(f"head_layers must be at least 0, got {self.head_layers}")
        widths, last = self.widths, len(self.widths) - 1
        self.blocks = [
            DownBlock(width, first=i == 0, down=i < last, dtype=self.dtype, name=f"block{i}")
            for i, width in enumerate(widths)
        ]
        self.sentence = _spectral(widths[-1], self.dtype)
        self.answer = _spectral(1, self.dtype)
        self.regions = Regions(self.dtype)
        self.image_head, self.sentence_head, self.region_head = (
            Head(self.head_layers, self.dtype) for _ in range(3)
        )

    def features(self, images: jax.Array | Sequence[jax.Array], train: bool) -> Features:
        """[B, S, S, 3] in [-1, 1], alone or as a tuple of one. ValueError for other sizes."""
        if isinstance(images, tuple | list):
            (images,) = images
        check_images(images, self.image_size)
        x, grid = (images + 1.0) / 2.0, None
        for block in self.blocks:
            x = block(x, train)
            grid = x if x.shape[1] == GRID else grid
        return Features(grid, jnp.sum(nn.relu(x), axis=(1, 2)))

    def judge(
        self, features: Features, sentence: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Logits [B] float32 of "real and fits the sentence" [B, E'], and the sentence's features
        [B, C], which the logits and the contrastive losses share.
        """
        chex.assert_equal_shape_prefix([features.pooled, sentence], 1)
        vectors = self.sentence(sentence, train)
        logits = self.answer(features.pooled, train)[:, 0]
        return (logits + jnp.sum(features.pooled * vectors, axis=-1)).astype(jnp.float32), vectors

    def encode(self, features: Features, vectors: jax.Array, width: int, train: bool) -> Encoded:
        """What the contrastive losses compare. vectors: the sentences' features, as `judge` gives
        them; width: of the word vectors, 0 for no regions.
        """
        regions = None
        if width:
            regions = self.region_head(self.regions(features.grid, width, train), train)
            regions = regions.reshape(len(regions), -1, width)
        image = self.image_head(features.pooled, train)
        return Encoded(image, self.sentence_head(vectors, train), regions)

    def __call__(
        self, images: jax.Array, sentence: jax.Array, width: int, train: bool
    ) -> tuple[jax.Array, Encoded]:
        """The logits and what the contrastive losses compare."""
        features = self.features(images, train)
        logits, vectors = self.judge(features, sentence, train)
        return logits, self.encode(features, vectors, width, train)
