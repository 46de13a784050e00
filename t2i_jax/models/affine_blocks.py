"""What DF-GAN and RAT-GAN are made of: maps steered by affine layers, a residual image trunk.

Tao et al., "DF-GAN" (arXiv 2008.05865), section 3; Ye et al., "RAT-GAN" (arXiv 2204.10482) feeds
the same blocks from a recurrent cell. There is no normalisation anywhere, so every network here
works on each sample alone. Layers start as PyTorch's do: U(+-1 / sqrt(products that are summed)).

Affine layers, LeakyReLU and 1x1 convolutions commute with nearest-neighbour upsampling, and 1x1
convolutions with average pooling too: all of them run on the smaller side.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.convolutions import Joined, Map, Upsampled, channels, upsample_nearest
from t2i_jax.models.images import check_side
from t2i_jax.models.layers import Conv, Dtype, check_same_rows, leaky_relu, uniform_init

_KERNEL_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
_STACKED_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform", batch_axis=(0, 1))
_ZEROS = nn.initializers.zeros_init()


def dense(x: jax.Array, features: int, name: str, dtype: Dtype) -> jax.Array:
    """PyTorch's linear layer, inside a compact method."""
    layer = nn.Dense(
        features,
        kernel_init=_KERNEL_INIT,
        bias_init=uniform_init(x.shape[-1] ** -0.5),
        dtype=dtype,
        name=name,
    )
    return layer(x)


def conv(
    x: Map, features: int, name: str, dtype: Dtype, kernel=3, stride=1, padding=1, bias=False
) -> jax.Array:
    """PyTorch's convolution, inside a compact method; the numbers as in `Conv`."""
    layer = Conv(
        features,
        kernel,
        stride,
        padding,
        use_bias=bias,
        kernel_init=_KERNEL_INIT,
        bias_init=uniform_init((kernel**2 * channels(x)) ** -0.5),
        dtype=dtype,
        name=name,
    )
    return layer(x)


def widths(image_size: int, widest: int) -> list[int]:
    """Widths of the maps of side `image_size`, half of it, ..., 4, in units of the channel base.

    Raises ValueError for an image_size that is no power of two >= 8.
    """
    check_side("image_size", image_size, 8)
    return [min(2**i, widest) for i in range(image_size.bit_length() - 2)]


class Fusion(nn.Module):
    """Affine layers on one map, each followed by a LeakyReLU: x <- leaky(scale(c) * x + shift(c)),
    channel by channel, with a perceptron of one hidden layer for every scale and every shift.

    Each affine layer starts as the identity. The perceptrons share no weights; theirs are stacked
    as (layer, scale or shift, ...), and two products run them all.

    hidden: width of the perceptrons' hidden layer; 0: that of x.
    """

    hidden: int = 0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, conditions: jax.Array) -> jax.Array:
        """x: [B, H, W, C]; conditions: [A, B, N], one for each affine layer in turn."""
        (count, _, size), channels = conditions.shape, x.shape[-1]
        hidden = self.hidden or channels

        def layer(name, kernel_init, bias_init, inputs, outputs):
            kernel = self.param(f"kernel{name}", kernel_init, (count, 2, inputs, outputs))
            bias = self.param(f"bias{name}", bias_init, (count, 2, outputs))
            return kernel.astype(self.dtype), bias.astype(self.dtype)[:, :, None]

        kernel, bias = layer(1, _STACKED_INIT, uniform_init(size**-0.5), size, hidden)
        conditions = jnp.broadcast_to(conditions[:, None], (count, 2, *conditions.shape[1:]))
        h = nn.relu(conditions.astype(self.dtype) @ kernel + bias)
        kernel, bias = layer(2, _ZEROS, _identity, hidden, channels)
        for scale, shift in h @ kernel + bias:
            x = leaky_relu(x * scale[:, None, None] + shift[:, None, None])
        return x


def _identity(key, shape, dtype=jnp.float32):
    """Starting values [A, 2, C] of scales, 1, and shifts, 0."""
    return jnp.broadcast_to(jnp.array([[1.0], [0.0]], dtype), shape)


class UpBlock(nn.Module):
    """Residual block of the generators: half of the affine layers before each of the two 3x3
    convolutions.

    upsample: doubles the side, before all else by definition.
    gated: a learned factor of the residual that starts at 0.
    """

    features: int
    upsample: bool = True
    gated: bool = False
    hidden: int = 0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, conditions: jax.Array) -> jax.Array:
        """[B, H, W, C] and the conditions [A, B, N] of an even number of affine layers ->
        [B, 2H, 2W, features], or [B, H, W, features] without the upsampling.
        """
        first, second = jnp.split(conditions, 2)
        h = Fusion(self.hidden, self.dtype, name="fuse1")(x, first)
        h = conv(
            Upsampled(h) if self.upsample else h, self.features, "conv1", self.dtype, bias=True
        )
        h = Fusion(self.hidden, self.dtype, name="fuse2")(h, second)
        h = conv(h, self.features, "conv2", self.dtype, bias=True)
        if self.gated:
            h = h * self.param("gate", _ZEROS, (1,), jnp.float32).astype(self.dtype)
        if x.shape[-1] != self.features:
            x = conv(x, self.features, "shortcut", self.dtype, kernel=1, padding=0, bias=True)
        return (upsample_nearest(x) if self.upsample else x) + h


class Decoder(nn.Module):
    """Noise to an image through blocks that are steered by conditions.

    channels: channels of the last map; a map of half the side has twice as many, up to eight times
        `channels`.
    image_size: side of the image, a power of two >= 8.
    affines: affine layers of a block.
    first_block: a block on the 4x4 map, before the first upsampling.
    remat: whether the backward pass computes each block anew instead of keeping its maps.
    """

    channels: int
    image_size: int
    affines: int = 4
    first_block: bool = True
    gated: bool = True
    hidden: int = 0
    remat: bool = False
    dtype: Dtype = jnp.float32

    @property
    def blocks(self) -> int:
        """Number of blocks, each of which takes `affines` conditions."""
        return len(widths(self.image_size, 8)) - (not self.first_block)

    @nn.compact
    def __call__(self, z: jax.Array, conditions: jax.Array) -> jax.Array:
        """z [B, Z] and conditions [A, B, N] of all affine layers -> [B, S, S, 3] in [-1, 1].

        Raises ValueError for a number of affine layers that is not even.
        """
        if self.affines < 2 or self.affines % 2:
            raise ValueError(f"affines must be an even number >= 2, got {self.affines}")
        sizes = [self.channels * m for m in reversed(widths(self.image_size, 8))]
        x = dense(z, 16 * sizes[0], "fc", self.dtype)
        # Channel-major, as in the releases.
        x = x.reshape(-1, sizes[0], 4, 4).transpose(0, 2, 3, 1)
        block_class = nn.remat(UpBlock) if self.remat else UpBlock
        for i, features in enumerate(sizes if self.first_block else sizes[1:]):
            block = block_class(
                features,
                upsample=i > 0 or not self.first_block,
                gated=self.gated,
                hidden=self.hidden,
                dtype=self.dtype,
                name=f"block{i}",
            )
            x = block(x, conditions[self.affines * i : self.affines * (i + 1)])
        x = conv(leaky_relu(x), 3, "image", self.dtype, bias=True)
        return jnp.tanh(x.astype(jnp.float32))


class DownBlock(nn.Module):
    """Residual block of the discriminators: [B, H, W, C] -> [B, H / 2, W / 2, features].

    The residual has a learned factor that starts at 0; the shortcut is linear.
    """

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = leaky_relu(conv(x, self.features, "conv1", self.dtype, kernel=4, stride=2))
        h = leaky_relu(conv(h, self.features, "conv2", self.dtype))
        b, height, width, c = x.shape
        x = x.reshape(b, height // 2, 2, width // 2, 2, c).mean((2, 4))
        if c != self.features:
            x = conv(x, self.features, "shortcut", self.dtype, kernel=1, padding=0, bias=True)
        return x + h * self.param("gate", _ZEROS, (1,), jnp.float32).astype(self.dtype)


class ImageTrunk(nn.Module):
    """[B, S, S, 3] -> [B, last, last, C]: a convolution, then blocks that halve the side; no text.

    widest: largest width, as a multiple of `channels`.
    last: side of the result.
    remat: as in `Decoder`.
    """

    channels: int
    image_size: int
    widest: int
    last: int = 4
    remat: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        halvings = (self.image_size // self.last).bit_length() - 1
        x = conv(images, self.channels, "conv", self.dtype, bias=True)
        block_class = nn.remat(DownBlock) if self.remat else DownBlock
        for i, width in enumerate(widths(self.image_size, self.widest)[1 : halvings + 1]):
            x = block_class(self.channels * width, self.dtype, name=f"block{i}")(x)
        return x


class Verdict(nn.Module):
    """A map [B, H, H, C], joined with a vector at every position where there is one -> logits [B].

    features: width between the 3x3 convolution and the one of the map's size.
    """

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, sentence: jax.Array | None = None) -> jax.Array:
        if sentence is not None:
            x = joined(x, sentence)
        h = leaky_relu(conv(x, self.features, "conv1", self.dtype))
        y = conv(h, 1, "conv2", self.dtype, kernel=h.shape[1], padding=0)
        return y.reshape(-1).astype(jnp.float32)


def joined(x: jax.Array, vector: jax.Array) -> Joined:
    """The map [B, H, W, C] with the vector [B, E] at every position after its channels."""
    check_same_rows(x, vector)
    return Joined((x, vector))
