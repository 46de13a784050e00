"""Training of the style encoder: inverting a trained generator.

Reed et al., "Generative Adversarial Text to Image Synthesis", ICML 2016, equation 6:

    L_style = E_{t, z ~ N(0, I)} || z - S(G(z, t)) ||^2

with z from the distribution that G was trained with, which the release lets be uniform.
The style of a photo x is then carried over to a text t by G(S(x), t).
"""

import dataclasses
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.models.style_encoder import StyleEncoder
from t2i_jax.recipes.base import Batch, EncoderRecipe, Terms, Variables, apply_train
from t2i_jax.types import Text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(EncoderRecipe):
    """Equation of the style encoder.

    net: maps images to noise (`t2i_jax.models.style_encoder.StyleEncoder`).
    generator: the trained generator (`t2i_jax.models.gan_int_cls.Generator`). Its variables come as
        ``frozen["generator"]``; it runs in evaluation mode.
    """

    net: StyleEncoder
    generator: nn.Module

    def init(self, key: jax.Array, batch: Batch, text: Text | None) -> dict[str, Variables]:
        """Variables of S, which only ever sees the generator's images."""
        size = self.generator.image_size
        return {"net": self.net.init(key, jnp.zeros((1, size, size, 3)), train=False)}

    def terms(
        self,
        variables: Variables,
        frozen: Mapping[str, Variables],
        batch: Batch,
        text: Text | None,
        key,
    ) -> tuple[Terms, dict, dict]:
        """``style``: squared error summed over the noise's coordinates, mean over the batch.

        The metric ``mse_per_coordinate`` is the noise's variance, 1 (uniform: 1/3), for an S that
        knows nothing of it.
        """
        width = self.generator.noise_dim
        shape = (text.sentence.shape[0], width)
        z = axis.noise(self.generator.noise, key, shape, self.axis_name)
        images = self.generator.apply(frozen["generator"], z, text.sentence, train=False)
        predicted, state = apply_train(self.net, variables, jax.lax.stop_gradient(images))
        loss = jnp.mean(jnp.sum(jnp.square(z - predicted), axis=-1))
        return {"style": loss}, {"mse_per_coordinate": loss / width}, state
