"""Relativistic pairing loss: what counts is by how much a real image beats a fake one.

Huang et al., R3GAN (arXiv 2501.05441), equation 1, after Jolicoeur-Martineau (arXiv 1807.00734).
"""

import chex
import jax
import jax.numpy as jnp


def pairing(preferred: jax.Array, other: jax.Array) -> jax.Array:
    """softplus(other - preferred) of each pair of logits, in float32; the caller takes the mean.

    The discriminator's loss is ``pairing(real, fake)``, the generator's ``pairing(fake, real)``,
    each of logits of one shape; AssertionError otherwise. R3GAN adds both zero-centred gradient
    penalties, `gradient_penalties.zero_centred`, without which it does not converge.
    """
    chex.assert_equal_shape([preferred, other])
    chex.assert_type([preferred, other], float)
    return jax.nn.softplus(other.astype(jnp.float32) - preferred.astype(jnp.float32))
