"""Networks of GAN, GAN-CLS, GAN-INT and GAN-INT-CLS.

Reed et al., "Generative Adversarial Text to Image Synthesis", ICML 2016 (arXiv 1605.05396), section
4.1, with the layers of the authors' Torch7 release, which the paper does not list in full. Layers
carry the release's order in their names: ``deconv1``, ``bn1``, ``res4``.

Convolutions have no bias: the release owns them but zeroes all of them before every loss. At 64 px
the networks are the published ones; other sizes add or remove plain stages at the image's end, with
the same width at the same resolution.

AssertionError where arrays have other shapes than the docstrings give.
"""

from collections.abc import Callable, Mapping

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.models.conv import products_by_position
from t2i_jax.models.convolutions import Joined
from t2i_jax.models.images import check_images, check_side
from t2i_jax.models.layers import (
    BatchNorm,
    Conv,
    DoublingConvTranspose,
    Dtype,
    check_same_rows,
    leaky_relu,
    uniform_init,
)
from t2i_jax.models.one_noise import OneNoiseGenerator

VARIANTS = ("int", "cls")


def torch_linear(features: int, fan_in: int, dtype: Dtype, name: str) -> nn.Dense:
    """A linear layer with Torch's default start: weight and bias uniform in +-1/sqrt(fan_in)."""
    init = uniform_init(fan_in**-0.5)
    return nn.Dense(features, dtype=dtype, kernel_init=init, bias_init=init, name=name)


def _width(channels: int, resolution: int) -> int:
    """Channels of a map of `resolution` pixels: 8, 4, 2 and 1 times `channels` at 4, 8, 16, 32."""
    return channels * max(1, 32 // resolution)


class FirstConvTranspose(nn.Module):
    """Transposed convolution of a single position to a 4x4 map: [B, C] -> [B, 4, 4, features].

    Kernel 4, stride 1, padding 0. ``kernel[u, v, i, o]`` is PyTorch's ``weight[i, o, u, v]``.
    """

    features: int
    use_bias: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (4, 4, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(0.02), shape, jnp.float32)
        y = products_by_position(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
            y = y + bias.astype(self.dtype)
        return y


class Bottleneck(nn.Module):
    """Residual block at a quarter of the width: act(x + h(x)), shapes unchanged.

    The last convolution is 3x3, not the usual 1x1.

    activate_sum: False gives x + h(x).
    """

    activation: Callable[[jax.Array], jax.Array]
    conv_bias: bool = False
    dtype: Dtype = jnp.float32
    axis_name: str | None = None
    activate_sum: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        width, inner = x.shape[-1], x.shape[-1] // 4
        h = x
        for i, (features, kernel) in enumerate([(inner, 1), (inner, 3), (width, 3)], start=1):
            h = Conv(
                features,
                kernel,
                padding=kernel // 2,
                use_bias=self.conv_bias,
                dtype=self.dtype,
                name=f"conv{i}",
            )(h)
            h = BatchNorm(axis_name=self.axis_name, dtype=self.dtype, name=f"bn{i}")(h, train)
            if i < 3:
                h = self.activation(h)
        return self.activation(x + h) if self.activate_sum else x + h


class Generator(OneNoiseGenerator):
    """Noise and a sentence to an image.

    image_size: H = W, a power of two >= 32; 64 is published.
    channels: width at 32 px (``ngf``; 128 for birds and flowers, 196 for COCO).
    text_dim: width of the projected sentence (``nt``).
    noise_dim: width of the noise (``nz``).
    noise: what it is drawn from, by recipes and samplers: "normal", N(0, 1), or the release's other
        choice, "uniform", U(-1, 1).
    large: two residual blocks in a row in place of each, an option of the release's COCO script,
        off in all of its commands. There is no activation between the two.
    conv_bias: biases in the convolutions, for published files, which were saved with biases one
        optimizer step away from 0; never for training.
    axis_name: mapped axis over which batch norm reduces.
    """

    image_size: int = 64
    channels: int = 128
    text_dim: int = 128
    noise_dim: int = 100
    noise: str = "normal"
    large: bool = False
    conv_bias: bool = False
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, noise: Mapping[str, jax.Array], sentence: jax.Array, train: bool
    ) -> tuple[jax.Array]:
        """noise: rows of `noise_shapes`; sentence: [B, E] -> one image [B, H, W, 3] in [-1, 1].

        Raises ValueError for an impossible image size.
        """
        check_side("image_size", self.image_size, 32)
        chex.assert_rank(sentence, 2)
        z = noise["z"]
        chex.assert_shape(z, (sentence.shape[0], self.noise_dim))
        common = dict(use_bias=self.conv_bias, dtype=self.dtype)
        text = torch_linear(self.text_dim, sentence.shape[-1], self.dtype, "fc")(sentence)
        x = jnp.concatenate([z.astype(self.dtype), leaky_relu(text)], axis=-1)
        x = FirstConvTranspose(_width(self.channels, 4), name="deconv1", **common)(x)
        resolution, i = 4, 1
        while True:
            x = BatchNorm(axis_name=self.axis_name, dtype=self.dtype, name=f"bn{i}")(x, train)
            if resolution <= 8:  # the block's skip carries the output of the norm as it is
                names = [f"res{resolution}", f"res{resolution}b"][: 1 + self.large]
                for name in names:
                    block = Bottleneck(
                        nn.relu,
                        self.conv_bias,
                        self.dtype,
                        self.axis_name,
                        activate_sum=name == names[-1],
                        name=name,
                    )
                    x = block(x, train)
            else:
                x = nn.relu(x)
            resolution, i = 2 * resolution, i + 1
            if resolution == self.image_size:
                break
            x = DoublingConvTranspose(
                _width(self.channels, resolution), name=f"deconv{i}", **common
            )(x)
        x = DoublingConvTranspose(3, name=f"deconv{i}", **common)(x)
        return (jnp.tanh(x.astype(jnp.float32)),)


class ImageTrunk(nn.Module):
    """The image half of the discriminator: [B, H, W, 3] -> [B, 4, 4, 8 * channels].

    See `Discriminator` for the fields.
    """

    image_size: int = 64
    channels: int = 64
    variant: str = "int"
    residual: bool = True
    conv_bias: bool = False
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        check_side("image_size", self.image_size, 32)
        check_choice("variant", self.variant, VARIANTS)
        check_images(images, self.image_size)
        x, resolution, i = images, self.image_size // 2, 1
        while True:
            x = Conv(
                _width(self.channels, resolution),
                kernel=4,
                stride=2,
                use_bias=self.conv_bias,
                dtype=self.dtype,
                name=f"conv{i}",
            )(x)
            if i > 1:
                x = BatchNorm(axis_name=self.axis_name, dtype=self.dtype, name=f"bn{i}")(x, train)
            if resolution == 4:
                break
            # The "int" script has no activation before the last convolution: an oversight, it
            # seems, but it is what trained the published birds and flowers.
            if resolution > 8 or self.variant == "cls":
                x = leaky_relu(x)
            resolution, i = resolution // 2, i + 1
        if not self.residual:
            return leaky_relu(x)
        block = Bottleneck(leaky_relu, self.conv_bias, self.dtype, self.axis_name, name="res4")
        return block(x, train)


class TextJoin(nn.Module):
    """The half of the discriminator that sees the text: [B, 4, 4, C] and [B, E] -> [B] logits.

    first: number of the first convolution, so that the names go on where the trunk's end.
    """

    text_dim: int = 128
    variant: str = "int"
    first: int = 5
    conv_bias: bool = False
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, features: jax.Array, sentence: jax.Array, train: bool) -> jax.Array:
        norm = dict(axis_name=self.axis_name, dtype=self.dtype)
        conv = dict(padding=0, use_bias=self.conv_bias, dtype=self.dtype)
        text = torch_linear(self.text_dim, sentence.shape[-1], self.dtype, "fc")(sentence)
        if self.variant == "int":
            text = BatchNorm(name="fc_bn", **norm)(text, train)
        x = Joined((features, leaky_relu(text)))
        x = Conv(features.shape[-1], kernel=1, name=f"conv{self.first}", **conv)(x)
        x = leaky_relu(BatchNorm(name=f"bn{self.first}", **norm)(x, train))
        x = Conv(1, kernel=4, name=f"conv{self.first + 1}", **conv)(x)
        return x.reshape(-1).astype(jnp.float32)


class Discriminator(nn.Module):
    """How real an image is and how well it fits a sentence: one logit (the release ends in a
    sigmoid).

    image_size: H = W, a power of two >= 32; 64 is published.
    channels: width at 32 px (``ndf``; 64 for birds, 196 for COCO).
    text_dim: width of the projected sentence (``nt``).
    variant: the release's two scripts. "int" (birds, flowers): batch norm on the projected
        sentence, no activation before the last strided convolution. "cls" (COCO): the reverse.
    residual: the 4x4 residual block. The release lacked it until 2016-10-30, the published
        checkpoints' time included; the paper does not mention it.
    conv_bias: as in `Generator`.
    axis_name: mapped axis over which batch norm reduces.
    """

    image_size: int = 64
    channels: int = 64
    text_dim: int = 128
    variant: str = "int"
    residual: bool = True
    conv_bias: bool = False
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    def setup(self):
        common = dict(
            variant=self.variant,
            conv_bias=self.conv_bias,
            dtype=self.dtype,
            axis_name=self.axis_name,
        )
        self.trunk = ImageTrunk(self.image_size, self.channels, residual=self.residual, **common)
        stages = self.image_size.bit_length() - 3  # halvings from the image to 4x4
        self.join = TextJoin(self.text_dim, first=stages + 1, **common)

    def features(self, images: jax.Array, train: bool) -> jax.Array:
        """[B, H, W, 3] -> [B, 4, 4, 8 * channels]: what does not depend on the text.

        Raises ValueError for images of another size or an unknown variant.
        """
        return self.trunk(images, train)

    def head(self, features: jax.Array, sentence: jax.Array, train: bool) -> jax.Array:
        """Features and sentences [B, E] -> logits [B] float32."""
        check_same_rows(features, sentence)
        return self.join(features, sentence, train)

    def __call__(self, images: jax.Array, sentence: jax.Array, train: bool) -> jax.Array:
        """[B, H, W, 3] in [-1, 1] and [B, E] -> logits [B] float32."""
        return self.head(self.features(images, train), sentence, train)
