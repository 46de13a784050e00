"""The Distribution Normalization Module of DR-GAN, a branch of any image discriminator.

Tan et al., "DR-GAN: Distribution Regularization for Text-to-Image Generation" (arXiv 2204.07945):
the discriminator's features of an image become a Gaussian latent, as in a variational autoencoder,
and a decoder that also sees the sentence draws the image again. Both players minimise its losses.
"""

from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.models.conditioning import ConditioningAugmentation
from t2i_jax.models.gated_stages import ORTHOGONAL, FirstStage
from t2i_jax.models.layers import BatchNorm, Conv, Dtype, leaky_relu, uniform_init
from t2i_jax.models.semantic_disentangling import FORMS


class Reconstructed(NamedTuple):
    """image: [B, S, S, 3] float32. mu, logvar: of the image's latent, [B, condition_dim]."""

    image: jax.Array
    mu: jax.Array
    logvar: jax.Array


class DistributionNormalization(nn.Module):
    """Features of an image and its sentence to the image again.

    condition_dim: width of the latent, and of the condition drawn from the sentence.
    width: channels of the decoder's first map (4x4); halved by every doubling of the side.
    image_size: side of the reconstruction, a power of two >= 8.
    form: "paper": the reconstruction ends in a tanh. "released": in a LeakyReLU, so that it is not
        bounded to [-1, 1].
    axis_name: mapped axis over which batch norm reduces.
    """

    condition_dim: int
    width: int
    image_size: int
    form: str = "paper"
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, features: jax.Array, sentence: jax.Array, noise: jax.Array, train: bool
    ) -> Reconstructed:
        """features: [B, H, W, C]. sentence: [B, E]. noise: standard normal [B, 2, condition_dim],
        for the sentence's condition and for the image's latent.

        Raises ValueError for an unknown form.
        """
        check_choice("dnm_form", self.form, FORMS)
        chex.assert_rank(sentence, 2)
        chex.assert_shape(noise, (features.shape[0], 2, self.condition_dim))
        norm = dict(dtype=self.dtype, axis_name=self.axis_name)
        project = nn.Dense(
            sentence.shape[-1],
            kernel_init=ORTHOGONAL,
            bias_init=uniform_init(features.shape[-1] ** -0.5),
            dtype=self.dtype,
            name="project",
        )
        code = project(jnp.mean(features, axis=(1, 2)))
        code = nn.relu(BatchNorm(name="project_bn", **norm)(code, train))
        # One layer for both, as in the release: the latent lives where the conditions do.
        augment = ConditioningAugmentation(
            self.condition_dim, kernel_init=ORTHOGONAL, dtype=self.dtype, name="ca"
        )
        condition, _, _ = augment(sentence, noise[:, 0])
        latent, mu, logvar = augment(code, noise[:, 1])
        ups = (self.image_size // 4).bit_length() - 1
        decoder = FirstStage(max(1, self.width >> ups), ups, name="decoder", **norm)
        x = decoder(jnp.concatenate([condition, latent], axis=-1), train)
        x = Conv(3, kernel=1, padding=0, kernel_init=ORTHOGONAL, dtype=self.dtype, name="image")(x)
        final = jnp.tanh if self.form == "paper" else leaky_relu
        return Reconstructed(final(x.astype(jnp.float32)), mu, logvar)
