"""Networks of StackGAN-v1: a 64 px sketch (Stage I), then a 256 px picture from it (Stage II).

Zhang et al., "StackGAN", ICCV 2017 (arXiv 1612.03242), section 3; layers that the paper leaves open
as in the authors' PyTorch release. Defaults are the paper's; the release's choices, which are also
those of its published COCO model:

    Generator, Stage2Generator     activation="relu"
    Discriminator                  text_dim=0, join_kernel=3, in Stage II unconditional=True

AssertionError where arrays have other shapes than the docstrings give.
"""

from collections.abc import Mapping
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.conditioning import ConditioningAugmentation
from t2i_jax.models.convolutions import Joined, Upsampled
from t2i_jax.models.down_trunk import DownTrunk, Logit
from t2i_jax.models.images import check_side
from t2i_jax.models.layers import (
    BatchNorm,
    Conv,
    ConvNorm,
    Dtype,
    check_noise,
    check_same_rows,
    leaky_relu,
)

_INIT = nn.initializers.normal(0.02)


class Generated(NamedTuple):
    """images: a tuple of one [B, H, W, 3] float32 in [-1, 1]. mu, logvar: [B, condition_dim], of
    the conditioning augmentation; None where there is none.
    """

    images: tuple[jax.Array, ...]
    mu: jax.Array | None
    logvar: jax.Array | None


def _check_width(channels: int, divisor: int) -> None:
    if channels % divisor:
        raise ValueError(f"channels={channels} must be a multiple of {divisor} at this image_size")


class UpBlocks(nn.Module):
    """[B, 4, 4, C] (or any map) -> an image of `image_size`: each block doubles the side and halves
    the width; then one convolution and tanh.
    """

    image_size: int
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        i = 1
        while x.shape[1] < self.image_size:
            block = ConvNorm(
                x.shape[-1] // 2, axis_name=self.axis_name, dtype=self.dtype, name=f"up{i}"
            )
            x, i = nn.relu(block(Upsampled(x), train)), i + 1
        x = Conv(3, dtype=self.dtype, name="image")(x)
        return jnp.tanh(x.astype(jnp.float32))


class Generator(nn.Module):
    """Stage I: noise and a sentence to a small image.

    image_size: H = W, a power of two >= 8; 64 is published.
    channels: ``GF_DIM``; the 4x4 map has 8 times as many.
    condition_dim: width of the augmented condition.
    noise_dim: width of the noise z.
    activation, augment: of the `ConditioningAugmentation`.
    axis_name: mapped axis over which batch norm reduces.
    """

    image_size: int = 64
    channels: int = 128
    condition_dim: int = 128
    noise_dim: int = 100
    activation: str = "leaky_relu"
    augment: bool = True
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @property
    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        """Standard normal noise of one image."""
        return {"z": (self.noise_dim,), "eps": (self.condition_dim,)}

    @nn.compact
    def __call__(
        self, noise: Mapping[str, jax.Array], sentence: jax.Array, train: bool
    ) -> Generated:
        """noise: rows of `noise_shapes`; sentence: [B, E].

        Raises ValueError for an impossible image size or width.
        """
        check_side("image_size", self.image_size, 8)
        width = 8 * self.channels
        _check_width(width, self.image_size // 4)
        chex.assert_rank(sentence, 2)
        check_noise(noise, self.noise_shapes, sentence.shape[0])
        augmentation = ConditioningAugmentation(
            self.condition_dim, self.activation, self.augment, dtype=self.dtype, name="ca"
        )
        condition, mu, logvar = augmentation(sentence, noise["eps"])
        norm = dict(axis_name=self.axis_name, dtype=self.dtype)
        x = jnp.concatenate([noise["z"], condition], axis=-1)
        x = nn.Dense(16 * width, use_bias=False, kernel_init=_INIT, dtype=self.dtype, name="fc")(x)
        x = nn.relu(BatchNorm(name="bn", **norm)(x, train))
        x = x.reshape(-1, width, 4, 4).transpose(0, 2, 3, 1)  # channel-major, as in the release
        image = UpBlocks(self.image_size, name="up", **norm)(x, train)
        return Generated((image,), mu, logvar)


class Residual(nn.Module):
    """relu(x + h(x)), h: two convolutions with batch norm."""

    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        common = dict(dtype=self.dtype, axis_name=self.axis_name)
        h = nn.relu(ConvNorm(x.shape[-1], name="block1", **common)(x, train))
        return nn.relu(x + ConvNorm(x.shape[-1], name="block2", **common)(h, train))


class Stage2Generator(nn.Module):
    """Stage II: a small image and the sentence once more to a large image. No noise of its own but
    that of its conditioning augmentation.

    image_size: H = W, a power of two, at least half of the small image's; 256 is published.
    channels: ``GF_DIM``; the quarter-size map of the small image has 4 times as many.
    residual_blocks: 4 in the paper at 256 px, 2 at 128 px and in the release's COCO model.
    condition_dim, activation, augment, axis_name: as in `Generator`.
    text: False leaves the sentence, and with it all noise, to Stage I, the paper's ablation: no
        conditioning augmentation, and the join sees the image alone.
    """

    image_size: int = 256
    channels: int = 128
    condition_dim: int = 128
    residual_blocks: int = 4
    activation: str = "leaky_relu"
    augment: bool = True
    text: bool = True
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @property
    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        """Standard normal noise of one image."""
        return {"eps": (self.condition_dim,)} if self.text else {}

    @nn.compact
    def __call__(
        self, low: jax.Array, noise: Mapping[str, jax.Array], sentence: jax.Array, train: bool
    ) -> Generated:
        """low: [B, h, h, 3] in [-1, 1] of Stage I; noise: rows of `noise_shapes`; sentence: [B, E].

        Raises ValueError for an impossible image size or width.
        """
        chex.assert_rank(low, 4)
        chex.assert_shape(low, (None, low.shape[1], low.shape[1], 3))
        check_side("image_size", self.image_size, low.shape[1] // 2)
        _check_width(4 * self.channels, 4 * self.image_size // low.shape[1])
        norm = dict(axis_name=self.axis_name, dtype=self.dtype)
        x = nn.relu(Conv(self.channels, dtype=self.dtype, name="down1")(low))
        for i in (2, 3):
            block = ConvNorm(2 * x.shape[-1], kernel=4, stride=2, name=f"down{i}", **norm)
            x = nn.relu(block(x, train))
        width, mu, logvar = x.shape[-1], None, None
        if self.text:
            chex.assert_shape(sentence, (low.shape[0], None))
            check_noise(noise, self.noise_shapes, low.shape[0])
            augmentation = ConditioningAugmentation(
                self.condition_dim, self.activation, self.augment, dtype=self.dtype, name="ca"
            )
            condition, mu, logvar = augmentation(sentence, noise["eps"])
            x = Joined((x, condition))
        x = nn.relu(ConvNorm(width, name="join", **norm)(x, train))
        for i in range(1, self.residual_blocks + 1):
            x = Residual(name=f"res{i}", **norm)(x, train)
        image = UpBlocks(self.image_size, name="up", **norm)(x, train)
        return Generated((image,), mu, logvar)


class Discriminator(nn.Module):
    """How well an image fits a condition, one logit; in the release's Stage II also how real it is.

    image_size: H = W, a power of two >= 8; 64 and 256 are published.
    channels: ``DF_DIM``, width of the first convolution.
    text_dim: width of D's own layer on the sentence; 0: the condition is taken as it comes.
    join_kernel: side of the convolution that joins image and condition, 1 or 3.
    unconditional: whether there is a second head that sees the image alone.
    axis_name: mapped axis over which batch norm reduces.
    """

    image_size: int = 64
    channels: int = 64
    text_dim: int = 128
    join_kernel: int = 1
    unconditional: bool = False
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    def setup(self):
        if self.join_kernel not in (1, 3):
            raise ValueError(f"join_kernel must be 1 or 3, got {self.join_kernel}")
        norm = dict(dtype=self.dtype, axis_name=self.axis_name)
        self.trunk = DownTrunk(self.image_size, self.channels, **norm)
        if self.text_dim:
            self.text = nn.Dense(self.text_dim, kernel_init=_INIT, dtype=self.dtype)
        width = self.channels * min(8, self.image_size // 8)
        self.join = ConvNorm(width, self.join_kernel, padding=self.join_kernel // 2, **norm)
        self.cond_logit = Logit(dtype=self.dtype)
        if self.unconditional:
            self.uncond_logit = Logit(dtype=self.dtype)

    def features(self, images: jax.Array, train: bool) -> jax.Array:
        """[B, H, W, 3] -> [B, 4, 4, C]: what both heads start from."""
        return self.trunk(images, train)

    def fits(self, features: jax.Array, condition: jax.Array, train: bool) -> jax.Array:
        """Features and conditions (sentences, where ``text_dim`` > 0) -> logits [B] float32."""
        check_same_rows(features, condition)
        if self.text_dim:
            condition = leaky_relu(self.text(condition))
        joined = self.join(Joined((features, condition)), train)
        return self.cond_logit(leaky_relu(joined))

    def real(self, features: jax.Array, train: bool) -> jax.Array:
        """Features -> logits [B] float32; only where ``unconditional``."""
        chex.assert_rank(features, 4)
        return self.uncond_logit(features)

    def __call__(
        self, images: jax.Array, condition: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array | None]:
        """Logits [B] float32: (image fits condition, image is real or None)."""
        x = self.features(images, train)
        real = self.real(x, train) if self.unconditional else None
        return self.fits(x, condition, train), real
