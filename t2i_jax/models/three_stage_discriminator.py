"""The discriminators that AttnGAN, DM-GAN and DR-GAN share: one network a scale, two questions.

AttnGAN (Xu et al., arXiv 1711.10485), section 3.1: an image trunk, a head that asks whether the
image is real, and one that asks whether it fits the sentence. DM-GAN and DR-GAN replace batch norm
by spectral normalisation (``norm="spectral"``); DR-GAN's Distribution Normalization Module can be
added to any of them (``dnm=True``).

The trunk and the heads are two methods, so that an image's features are judged with several
sentences.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.models.convolutions import Joined
from t2i_jax.models.distribution_normalization import DistributionNormalization, Reconstructed
from t2i_jax.models.down_trunk import Logit
from t2i_jax.models.gated_stages import ORTHOGONAL
from t2i_jax.models.images import check_images, check_side
from t2i_jax.models.layers import Conv, ConvNorm, Dtype, leaky_relu
from t2i_jax.models.spectral_norm import SpectralConv

NORMS = ("batch", "spectral")


class Features(NamedTuple):
    """What a trunk makes of images: `last`, which the heads judge, [B, 4, 4, 8 * channels] (fewer
    below 64 px), and `deep`, the widest map [B, 4, 4, C], which the module of DR-GAN reads.
    """

    last: jax.Array
    deep: jax.Array


def _layer(norm: str, dtype: Dtype, axis_name: str | None) -> Callable[..., nn.Module]:
    """Constructor of a convolution with its normalisation, called with (x, train)."""
    check_choice("norm", norm, NORMS)
    common = dict(kernel_init=ORTHOGONAL, dtype=dtype)
    if norm == "spectral":
        return lambda *args, **kwargs: SpectralConv(*args, **common, **kwargs)
    return lambda *args, **kwargs: ConvNorm(*args, axis_name=axis_name, **common, **kwargs)


class Trunk(nn.Module):
    """Strided convolutions that double the width, down to 4x4; then ones that halve it again, down
    to 8 * channels. Layers are numbered ``conv1``, ``block2``, ``block3``, ...

    Fields as in `Discriminator`.
    """

    image_size: int
    channels: int
    norm: str = "batch"
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> Features:
        """Raises ValueError for images of another size."""
        check_side("image_size", self.image_size, 8)
        check_images(images, self.image_size)
        layer = _layer(self.norm, self.dtype, self.axis_name)
        if self.norm == "spectral":
            x = layer(self.channels, kernel=4, stride=2, name="conv1")(images, train)
        else:  # no batch norm behind the first one
            common = dict(kernel_init=ORTHOGONAL, dtype=self.dtype)
            x = Conv(self.channels, kernel=4, stride=2, name="conv1", **common)(images)
        x, i = leaky_relu(x), 2
        while x.shape[1] > 4:
            block = layer(2 * x.shape[-1], kernel=4, stride=2, name=f"block{i}")
            x, i = leaky_relu(block(x, train)), i + 1
        deep = x
        while x.shape[-1] > 8 * self.channels:
            block = layer(x.shape[-1] // 2, name=f"block{i}")
            x, i = leaky_relu(block(x, train)), i + 1
        return Features(x, deep)


class ScaleDiscriminator(nn.Module):
    """The discriminator of one scale.

    condition_dim: width of the latent of the Distribution Normalization Module; 0: without it.
    decoded_size: side of the images that the module reconstructs. Else as in `Discriminator`.
    """

    image_size: int
    channels: int
    norm: str = "batch"
    condition_dim: int = 0
    decoded_size: int = 64
    dnm_form: str = "paper"
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    def setup(self):
        common = dict(dtype=self.dtype, axis_name=self.axis_name)
        self.trunk = Trunk(self.image_size, self.channels, self.norm, **common)
        width = self.channels * min(8, self.image_size // 8)
        self.join = _layer(self.norm, **common)(width)
        self.cond_logit = Logit(ORTHOGONAL, self.dtype)
        self.uncond_logit = Logit(ORTHOGONAL, self.dtype)
        if self.condition_dim:
            self.dnm = DistributionNormalization(
                self.condition_dim, 16 * self.channels, self.decoded_size, self.dnm_form, **common
            )

    def features(self, images: jax.Array, train: bool) -> Features:
        """Features of images [B, S, S, 3]."""
        return self.trunk(images, train)

    def judge(
        self, features: Features, sentence: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Logits [B] float32: (fits the sentence, is real)."""
        x = features.last
        joined = self.join(Joined((x, sentence)), train)
        return self.cond_logit(leaky_relu(joined)), self.uncond_logit(x)

    def reconstruct(
        self, features: Features, sentence: jax.Array, noise: jax.Array, train: bool
    ) -> Reconstructed:
        """The images again, from their features."""
        return self.dnm(features.deep, sentence, noise, train)


class Discriminator(nn.Module):
    """One independent discriminator a scale.

    channels: width of the first convolution (``DF_DIM``).
    image_sizes: sides of the images, powers of two >= 8; (): a recipe takes those of its generator.
    norm: "batch" (AttnGAN) or "spectral" (DM-GAN, DR-GAN), then with biases and no batch norm.
    dnm: adds DR-GAN's Distribution Normalization Module to every scale. dnm_form: "paper"
        reconstructs every image at its own size; "released" at the lowest scale's, not bounded.
    condition_dim: width of that module's latent.
    axis_name: mapped axis over which batch norm reduces.
    """

    scale: ClassVar[type[ScaleDiscriminator]] = ScaleDiscriminator

    channels: int = 64
    image_sizes: tuple[int, ...] = ()
    norm: str = "batch"
    dnm: bool = False
    dnm_form: str = "paper"
    condition_dim: int = 100
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @property
    def noise_shapes(self) -> dict[str, tuple[int, ...]]:
        """Standard normal noise of one image in `reconstruct`: for each scale a row for the
        sentence's condition and one for the image's latent. Empty without ``dnm``.
        """
        return {"dnm": (len(self.image_sizes), 2, self.condition_dim)} if self.dnm else {}

    def setup(self):
        self.nets = [
            self.scale(
                size,
                self.channels,
                self.norm,
                condition_dim=self.condition_dim if self.dnm else 0,
                decoded_size=self.image_sizes[0] if self.dnm_form == "released" else size,
                dnm_form=self.dnm_form,
                dtype=self.dtype,
                axis_name=self.axis_name,
            )
            for size in self.image_sizes
        ]

    def features(self, images: Sequence[jax.Array], train: bool) -> tuple[Features, ...]:
        """Features of the images [B, S, S, 3] of every scale.

        Raises ValueError where the number or the sizes of the images are not those of the fields.
        """
        if len(images) != len(self.image_sizes):
            raise ValueError(f"{len(images)} images for the scales {self.image_sizes}")
        return tuple(net.features(x, train) for net, x in zip(self.nets, images, strict=True))

    def judge(
        self, features: Sequence[Features], sentence: jax.Array, train: bool
    ) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """Logits of all scales, [B] float32 each: (image fits sentence, image is real).

        sentence: [B, E].
        """
        chex.assert_shape(sentence, (features[0].last.shape[0], None))
        pairs = zip(self.nets, features, strict=True)
        fits, real = zip(*(net.judge(f, sentence, train) for net, f in pairs), strict=True)
        return fits, real

    def reconstruct(
        self, features: Sequence[Features], sentence: jax.Array, noise: jax.Array, train: bool
    ) -> tuple[Reconstructed, ...]:
        """The images of every scale again, by the Distribution Normalization Module.

        noise: [B, scales, 2, condition_dim], as in `noise_shapes`.

        Raises ValueError without ``dnm``.
        """
        if not self.dnm:
            raise ValueError("nothing reconstructs the images: set discriminator.dnm=True")
        chex.assert_shape(noise, (features[0].last.shape[0], *self.noise_shapes["dnm"]))
        return tuple(
            net.reconstruct(f, sentence, noise[:, i], train)
            for i, (net, f) in enumerate(zip(self.nets, features, strict=True))
        )

    def add_reconstruction(self, features: Sequence[Features], sentence: jax.Array, train: bool):
        """While initializing, runs `reconstruct` once, so that its weights are there."""
        if self.dnm and self.is_initializing():
            noise = jnp.zeros((features[0].last.shape[0], *self.noise_shapes["dnm"]))
            self.reconstruct(features, sentence, noise, train)

    def __call__(
        self, images: Sequence[jax.Array], sentence: jax.Array, train: bool
    ) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """`judge` of `features`."""
        features = self.features(images, train)
        self.add_reconstruction(features, sentence, train)
        return self.judge(features, sentence, train)
