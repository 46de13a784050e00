"""Networks of DF-GAN, one stage from noise to image, in both of its published versions.

Tao et al., "DF-GAN: A Simple and Effective Baseline for Text-to-Image Synthesis" (CVPR 2022, arXiv
2008.05865), section 3, with the layers of the authors' releases. Both activate the fusion blocks
with LeakyReLU where the paper draws ReLU.
"""

from collections.abc import Mapping
from typing import Literal

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.models.affine_blocks import Decoder, ImageTrunk, Verdict
from t2i_jax.models.layers import Dtype, check_noise
from t2i_jax.models.one_image import OneImageDiscriminator
from t2i_jax.models.one_noise import OneNoiseGenerator

VERSIONS = ("2022", "2020")


class Generator(OneNoiseGenerator):
    """Noise and a sentence to an image.

    channels: channel base (``nf``); 32 is released, the best runs of 2020 took 64.
    image_size: side of the image, a power of two >= 8.
    noise_dim: width of the noise z; the release samples with 0.88 times a normal cut at +-2.
    version: "2022" (CVPR): noise and sentence steer the affine layers together. "2020" (first on
        arXiv): the sentence alone does; one block more, on the 4x4 map; every residual has a
        learned factor that starts at 0.
    affines: affine layers of a block, an even number; 4 is published ("deep" fusion).
    affine_dim: width of the affine layers' perceptrons; 0: that of the map, as in 2022. The
        release of 2020 has 256.
    remat: the backward pass computes each block anew instead of keeping its maps: less memory for
        one more forward pass, the same numbers.
    """

    channels: int = 32
    image_size: int = 256
    noise_dim: int = 100
    version: Literal["2022", "2020"] = "2022"
    affines: int = 4
    affine_dim: int = 0
    remat: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, noise: Mapping[str, jax.Array], sentence: jax.Array, train: bool
    ) -> tuple[jax.Array, ...]:
        """noise: rows of `noise_shapes`; sentence: [B, E] -> one image [B, S, S, 3] in [-1, 1].

        `train` changes nothing: no layer has a mode. Raises ValueError for impossible fields.
        """
        check_choice("version", self.version, VERSIONS)
        z = noise["z"]
        chex.assert_rank(sentence, 2)
        check_noise(noise, self.noise_shapes, sentence.shape[0])
        first = self.version == "2020"
        decoder = Decoder(
            self.channels,
            self.image_size,
            self.affines,
            first_block=first,
            gated=first,
            hidden=self.affine_dim,
            remat=self.remat,
            dtype=self.dtype,
            name="decoder",
        )
        condition = sentence if first else jnp.concatenate([z, sentence], axis=-1)
        steps = decoder.blocks * self.affines
        return (decoder(z, jnp.broadcast_to(condition, (steps, *condition.shape))),)


class Discriminator(OneImageDiscriminator):
    """Whether an image is real and fits its sentence: one output for both (section 3.4).

    channels, image_size: as in `Generator`.
    version: "2022": widths up to 8 times `channels`; "2020": up to 16 times, RAT-GAN's without
        attention.
    two_way: a second head that judges the image alone, which the paper ablates.
    remat: as in `Generator`.
    """

    channels: int = 32
    image_size: int = 256
    version: Literal["2022", "2020"] = "2022"
    two_way: bool = False
    remat: bool = False
    dtype: Dtype = jnp.float32

    def setup(self):
        check_choice("version", self.version, VERSIONS)
        widest = 8 if self.version == "2022" else 16
        self.trunk = ImageTrunk(
            self.channels, self.image_size, widest, remat=self.remat, dtype=self.dtype
        )
        self.fits = Verdict(2 * self.channels, self.dtype)
        super().setup()
