"""Adversarial losses, one value for each logit; the caller takes their mean (or `bce_over_scales`).

Logits are a discriminator's output before any sigmoid, an array of floats of any shape. The losses
have the same shape and are float32 whatever the compute dtype. AssertionError for logits that are
no floats: most likely labels in their place.
"""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp


def bce(logits: jax.Array, label: float | jax.Array) -> jax.Array:
    """Binary cross-entropy of sigmoid(logits) against `label` (Goodfellow et al., 2014).

    The non-saturating generator loss is ``bce(fake_logits, 1.0)``.

    label: probability of "real", a scalar or an array that broadcasts to the logits.

    From logits, so it does not stop at 27.6 where the sigmoid saturates, as Torch7's
    ``log(p + 1e-12)`` does.
    """
    chex.assert_is_broadcastable(jnp.shape(label), jnp.shape(logits))
    logits = _float32(logits)
    return jax.nn.softplus(logits) - label * logits


def hinge_real(logits: jax.Array) -> jax.Array:
    """The discriminator's hinge loss of samples that it should accept: max(0, 1 - logits)."""
    return jax.nn.relu(1.0 - _float32(logits))


def hinge_fake(logits: jax.Array) -> jax.Array:
    """The discriminator's hinge loss of samples that it should reject: max(0, 1 + logits)."""
    return jax.nn.relu(1.0 + _float32(logits))


def hinge_generator(logits: jax.Array) -> jax.Array:
    """The generator's loss that goes with the hinge (Lim and Ye, 2017): -logits."""
    return -_float32(logits)


def _float32(logits: jax.Array) -> jax.Array:
    chex.assert_type(logits, float)
    return logits.astype(jnp.float32)


def bce_over_scales(logits: Sequence[jax.Array], label: float) -> jax.Array:
    """`bce` of the logits of several scales, [B] each: means over the batch, summed, a scalar."""
    return sum(jnp.mean(bce(x, label)) for x in logits)
