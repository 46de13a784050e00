"""Adversarial losses of logits, each the mean over all elements as a float32 scalar.

Logits are a discriminator's output before any sigmoid, of any shape.
"""

import jax
import jax.numpy as jnp


def bce(logits: jax.Array, label: float | jax.Array, weights: jax.Array | None = None) -> jax.Array:
    """Binary cross-entropy of sigmoid(logits) against `label` (Goodfellow et al., 2014).

    The non-saturating generator loss is ``bce(fake_logits, 1.0)``.

    label: probability of "real", a scalar or an array that broadcasts to the logits.
    weights: factor of each element. As in Torch7's criterion, the sum is divided by the number of
        elements, not by the sum of the weights.

    From logits, so it does not stop at 27.6 where the sigmoid saturates, as Torch7's
    ``log(p + 1e-12)`` does.
    """
    logits = logits.astype(jnp.float32)
    losses = jax.nn.softplus(logits) - label * logits
    return jnp.mean(losses if weights is None else losses * weights)


def hinge_real(logits: jax.Array) -> jax.Array:
    """The discriminator's hinge loss of samples that it should accept: max(0, 1 - logits)."""
    return jnp.mean(jax.nn.relu(1.0 - logits.astype(jnp.float32)))


def hinge_fake(logits: jax.Array) -> jax.Array:
    """The discriminator's hinge loss of samples that it should reject: max(0, 1 + logits)."""
    return jnp.mean(jax.nn.relu(1.0 + logits.astype(jnp.float32)))


def hinge_generator(logits: jax.Array) -> jax.Array:
    """The generator's loss that goes with the hinge (Lim and Ye, 2017): -logits."""
    return -jnp.mean(logits.astype(jnp.float32))
