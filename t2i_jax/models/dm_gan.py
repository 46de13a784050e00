"""Networks of DM-GAN: a memory of the words that each image writes for itself.

Zhu et al., "DM-GAN: Dynamic Memory Generative Adversarial Networks for Text-to-Image Synthesis",
CVPR 2019 (arXiv 1904.01310), section 3.2, with the layers of the authors' release. Its word mask is
that of AttnGAN's release (``mask_order="tiled"``); here that is an option.
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax.models import three_stage, three_stage_discriminator
from t2i_jax.models.attention import attend
from t2i_jax.models.gated_stages import ORTHOGONAL
from t2i_jax.models.layers import Conv, uniform_init


class Refinement(three_stage.Refinement):
    """Memory writing, key addressing, value reading and the response gate."""

    def read(
        self, features: jax.Array, words: jax.Array, mask: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """What each position reads from the memory, and where."""
        width = features.shape[-1]
        # The writing gate looks at the image as it is, and does not change it (released code).
        summary = lax.stop_gradient(jnp.mean(features, axis=(1, 2)))[:, None, :]
        gate = nn.sigmoid(
            self._linear("gate_words", 1, words, use_bias=False)
            + self._linear("gate_image", 1, summary, use_bias=False)
        )
        written = nn.relu(self._linear("write_words", 2 * width, words)) * gate
        kept = nn.relu(self._linear("write_image", 2 * width, summary)) * (1.0 - gate)
        memory = written + kept
        keys = nn.relu(self._linear("key", width, memory))
        values = nn.relu(self._linear("value", width, memory))
        return attend(
            features, keys, values, mask, mask_order=self.mask_order, axis_name=self.axis_name
        )

    def fuse(self, features: jax.Array, context: jax.Array) -> jax.Array:
        """The response gate; twice its result, as wide as the blocks behind it (released code)."""
        both = jnp.concatenate([features, context], axis=-1)
        response = Conv(
            1,
            kernel=1,
            padding=0,
            use_bias=True,
            kernel_init=ORTHOGONAL,
            bias_init=uniform_init(both.shape[-1] ** -0.5),
            dtype=self.dtype,
            name="response",
        )
        gate = nn.sigmoid(response(both))
        fused = features * (1.0 - gate) + context * gate
        return jnp.concatenate([fused, fused], axis=-1)

    def _linear(self, name: str, width: int, x: jax.Array, use_bias: bool = True) -> jax.Array:
        bias = uniform_init(x.shape[-1] ** -0.5)
        return nn.Dense(
            width,
            use_bias,
            kernel_init=ORTHOGONAL,
            bias_init=bias,
            dtype=self.dtype,
            name=name,
        )(x)


class Generator(three_stage.Generator):
    """The shared skeleton with the dynamic memory, as published for birds."""

    refinement: ClassVar = Refinement

    channels: int = 64


class Discriminator(three_stage_discriminator.Discriminator):
    """One network a scale, spectrally normalised, as published for birds."""

    channels: int = 32
    norm: str = "spectral"
