"""Training of the style encoder: inverting a trained generator.

Reed et al., "Generative Adversarial Text to Image Synthesis", ICML 2016, equation 6:

    L_style = E_{t, z ~ N(0, I)} || z - S(G(z, t)) ||^2

with z from the distribution that G was trained with, which the release lets be uniform.
The style of a photo x is then carried over to a text t by G(S(x), t).
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.losses.degradations import degrade
from t2i_jax.models.style_encoder import StyleEncoder
from t2i_jax.recipes.base import EncoderRecipe
from t2i_jax.recipes.terms import Seen, Terms, Variables, apply_train, no_noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(EncoderRecipe):
    """Equation of the style encoder.

    net: maps images to noise (`t2i_jax.models.style_encoder.StyleEncoder`).
    generator: a trained generator whose only noise is one vector z, such as those of GAN-INT-CLS,
        DF-GAN and RAT-GAN; it runs in evaluation mode. ValueError for another one.
    degraded: whether S sees G's images degraded (`losses.degradations`), so that it goes by what
        they show, which photos have too, and not by G's textures.
    """

    networks = {"net": ("net",)}
    frozen_parts = {"generator": "generator"}

    net: StyleEncoder
    generator: nn.Module
    degraded: bool = False

    def __post_init__(self):
        shapes = dict(self.generator.noise_shapes) if self.generator else None
        if shapes and (shapes.keys() != {"z"} or shapes["z"] != (self.net.noise_dim,)):
            raise ValueError(
                f"net.noise_dim={self.net.noise_dim}: a style encoder writes the one noise vector "
                f"of a generator, but this generator's noise is {shapes}"
            )

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """Variables of S, which only ever sees the generator's images."""
        size = self.generator.image_size
        return {"net": self.net.init(key, jnp.zeros((1, size, size, 3)), train=False)}

    def init_frozen(self, name: str, key: jax.Array, seen: Seen) -> Variables:
        """An untrained generator."""
        noise = no_noise(self.generator.noise_shapes)
        sentence = jnp.zeros((1, seen.text.sentence.shape[-1]))
        return self.generator.init(key, noise, sentence, train=False)

    def terms(self, variables: Variables, seen: Seen, key: jax.Array) -> Terms:
        """``style``: squared error summed over the noise's coordinates, mean over the batch.

        The metric ``mse_per_coordinate`` is the noise's variance, 1 (uniform: 1/3), for an S that
        knows nothing of it.
        """
        width, sentence = self.net.noise_dim, seen.text.sentence
        distribution = getattr(self.generator, "noise", "normal")
        z = axis.noise(distribution, key, (sentence.shape[0], width), self.axis_name)
        made = self.generator.apply(seen.frozen["generator"], {"z": z}, sentence, train=False)
        images = jax.lax.stop_gradient(made[-1])
        if self.degraded:
            images = degrade(images, jax.random.fold_in(key, 1), self.axis_name)
        predicted, state = apply_train(self.net, variables, images)
        loss = jnp.mean(jnp.sum(jnp.square(z - predicted), axis=-1))
        return Terms({"style": loss}, {"mse_per_coordinate": loss / width}, state)
