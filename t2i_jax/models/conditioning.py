"""Conditioning augmentation: a sentence vector becomes a Gaussian from which a condition is drawn.

Zhang et al., StackGAN (arXiv 1612.03242), section 3.2; taken over by StackGAN-v2, AttnGAN and
DM-GAN.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.choices import check_choice
from t2i_jax.models.layers import Dtype, glu, leaky_relu

_ACTIVATIONS = {"glu": glu, "relu": nn.relu, "leaky_relu": leaky_relu}


class ConditioningAugmentation(nn.Module):
    """c = mu + exp(logvar / 2) * eps, with mu and logvar from one linear layer.

    features: width of mu, logvar and c.
    activation: after the linear layer. "glu" (StackGAN-v2 and its followers) lets mu and logvar
        take both signs; "relu" (the PyTorch release of StackGAN-v1) keeps logvar >= 0, so the
        standard deviation is never below 1; "leaky_relu" (v1 in the paper).
    augment: False gives c = mu, the paper's ablation "no CA".
    """

    features: int
    activation: str = "glu"
    augment: bool = True
    kernel_init: Callable = nn.initializers.normal(0.02)
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, sentence: jax.Array, eps: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """[B, E] and noise [B, features] -> (c, mu, logvar), each [B, features] float32.

        Raises ValueError for an unknown activation.
        """
        check_choice("activation", self.activation, _ACTIVATIONS)
        width = 2 * self.features * (2 if self.activation == "glu" else 1)
        fc = nn.Dense(width, kernel_init=self.kernel_init, dtype=self.dtype, name="fc")
        both = _ACTIVATIONS[self.activation](fc(sentence)).astype(jnp.float32)
        mu, logvar = jnp.split(both, 2, axis=-1)
        return (draw(mu, logvar, eps) if self.augment else mu), mu, logvar


def draw(mu: jax.Array, logvar: jax.Array, eps: jax.Array) -> jax.Array:
    """A sample of N(mu, exp(logvar)) from standard normal `eps`, all of one shape."""
    return mu + jnp.exp(0.5 * logvar) * eps
