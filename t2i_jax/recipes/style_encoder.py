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
from t2i_jax.models.one_noise import OneNoiseGenerator
from t2i_jax.models.style_encoder import StyleEncoder
from t2i_jax.recipes.base import EncoderRecipe
from t2i_jax.recipes.terms import Seen, Terms, Variables, apply_train, no_noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(EncoderRecipe):
    """Equation of the style encoder.

    net: maps images to noise (`t2i_jax.models.style_encoder.StyleEncoder`).
    generator: a trained generator whose only noise is one vector z: those of GAN-INT-CLS, DF-GAN,
        RAT-GAN and XMC-GAN; it runs in evaluation mode. ValueError for another one.
    degraded: whether S sees G's images degraded (`losses.degradations`), so that it goes by what
        they show, which photos have too, and not by G's textures.
    """

    networks = {"net": ("net",)}
    frozen_parts = {"generator": "generator"}
    trained_by = {"generator": "gan_int_cls"}

    net: StyleEncoder
    generator: nn.Module
    degraded: bool = False

    def __post_init__(self):
        generator, width = self.generator, self.net.noise_dim
        if generator is None:
            return
        if not isinstance(generator, OneNoiseGenerator):
            raise ValueError(
                f"frozen.generator is a {type(generator).__module__}.{type(generator).__name__}, "
                "but a style encoder inverts generators of one noise vector and one image: those "
                "of GAN-INT-CLS, DF-GAN, RAT-GAN and XMC-GAN"
            )
        if generator.noise_dim != width:
            raise ValueError(
                f"net.noise_dim={width}: a style encoder writes the one noise vector of its "
                f"generator, and that has {generator.noise_dim} numbers"
            )

    @property
    def reads(self) -> str:
        """What its generator reads; of a run's own S, which needs none to be used, the sentence."""
        return self.generator.reads if self.generator else "sentence"

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """Variables of S, which only ever sees the generator's images."""
        size = self.generator.image_size
        return {"net": self.net.init(key, jnp.zeros((1, size, size, 3)), train=False)}

    def init_frozen(self, name: str, key: jax.Array, seen: Seen) -> Variables:
        """An untrained generator."""
        noise = no_noise(self.generator.noise_shapes)
        text = jax.tree.map(lambda x: jnp.zeros_like(x[:1]), seen.text)
        return self.generator.init(key, noise, text, train=False, method="draw")

    def terms(self, variables: Variables, seen: Seen, key: jax.Array) -> Terms:
        """``style``: squared error summed over the noise's coordinates, mean over the batch.

        The metric ``mse_per_coordinate`` is the noise's variance, 1 (uniform: 1/3), for an S that
        knows nothing of it.
        """
        width, text = self.net.noise_dim, seen.text
        distribution = getattr(self.generator, "noise", "normal")
        z = axis.noise(distribution, key, (len(text.sentence), width), self.axis_name)
        frozen = seen.frozen["generator"]
        images = self.generator.apply(frozen, {"z": z}, text, train=False, method="draw")
        images = jax.lax.stop_gradient(images)
        if self.degraded:
            images = degrade(images, jax.random.fold_in(key, 1), self.axis_name)
        predicted, state = apply_train(self.net, variables, images)
        loss = jnp.mean(jnp.sum(jnp.square(z - predicted), axis=-1))
        return Terms({"style": loss}, {"mse_per_coordinate": loss / width}, state)
