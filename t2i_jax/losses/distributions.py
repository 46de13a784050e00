"""Losses of DR-GAN on distributions of features; float32 scalars.

Tan et al., "DR-GAN: Distribution Regularization for Text-to-Image Generation" (arXiv 2204.07945).
"Released" is the authors' code, which computes other numbers than the paper's formulae. The
distribution adversarial loss consists of distances below and of `regularizers.gaussian_kl`.

Sums over a batch are over the global batch where `axis_name` names the mapped axis that splits it.
"""

import math
from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp

from t2i_jax import axis


def moments(features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and variance over space of every sample and channel: [B, H, W, C] -> two [B, C]."""
    chex.assert_rank(features, 4)
    features = features.astype(jnp.float32)
    return jnp.mean(features, axis=(1, 2)), jnp.var(features, axis=(1, 2))


def semantic_disentangling(key: jax.Array, rest: jax.Array, real: jax.Array) -> jax.Array:
    """The semantic disentangling loss of one stage and one half, image or context:

        softplus(|m(key) - m(real)| - |m(rest) - m(real)|)

    for the means m over space, plus the same for the variances; Euclidean norms over the channels,
    averaged over the batch. It falls as key features come nearer to the real ones than the rest.

    key, rest, real: features [B, H, W, C] of one width; H and W may differ.
    """
    chex.assert_equal_shape([key, rest, real], dims=(0, 3))
    total = jnp.zeros([], jnp.float32)
    for near, far, target in zip(moments(key), moments(rest), moments(real), strict=True):
        distance = _root(jnp.sum(jnp.square(near - target), -1))
        other = _root(jnp.sum(jnp.square(far - target), -1))
        total += jnp.mean(jax.nn.softplus(distance - other))
    return total


def released_semantic_disentangling(
    key: jax.Array, rest: jax.Array, real: jax.Array, width: float, axis_name: str | None = None
) -> jax.Array:
    """The authors' code for one stage and one half: softplus(d(key) - d(rest)) + exp(d(key)), with
    d the squared distance of batch means to that of `real`, divided by `width`.

    Its variance terms sum deviations before squaring them, which gives 0 for every input; what is
    left of them is the constant log(2) + 1, added here.

    key, rest, real: codes [B, C], see `models.semantic_disentangling.Disentangled`.
    width: 64 for the second stage and 128 for the third, the sides of their input maps.
    """
    chex.assert_rank(real, 2)
    chex.assert_equal_shape([key, rest, real])
    means = [axis.mean(jnp.mean(x.astype(jnp.float32), 0), axis_name) for x in (key, rest, real)]
    near, far = (jnp.sum(jnp.square(x - means[2])) / width for x in means[:2])
    return jax.nn.softplus(near - far) + jnp.exp(near) + math.log(2.0) + 1.0


def released_disentangling_total(losses: Sequence[jax.Array], sides: Sequence[int]) -> jax.Array:
    """How the authors' code adds the stages up: 10.1 to the power of the sum of loss / side^2.

    losses: one a stage, both halves together; sides: of the stages' input maps.
    """
    exponent = sum(loss / side**2 for loss, side in zip(losses, sides, strict=True))
    return jnp.power(10.1, exponent)


def mean_distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean absolute difference of two batches of one shape: the L1 norm of the paper's
    reconstruction terms, divided by the number of entries.
    """
    chex.assert_equal_shape([x, y])
    return jnp.mean(jnp.abs(x.astype(jnp.float32) - y.astype(jnp.float32)))


def batch_norm_distance(x: jax.Array, y: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Euclidean norm of the difference over the whole batch at once: the released form of the
    discriminators' reconstruction terms. It grows with the square root of the batch size.
    """
    return _root(_summed_squares(x, y, axis_name))


def squares_per_pixel(x: jax.Array, y: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Summed squared difference over the whole batch, divided by the pixels of one image: the
    released form of the generator's reconstruction of real images [B, H, W, 3].
    """
    return _summed_squares(x, y, axis_name) / (x.shape[1] * x.shape[2])


def _summed_squares(x: jax.Array, y: jax.Array, axis_name: str | None) -> jax.Array:
    chex.assert_equal_shape([x, y])
    local = jnp.sum(jnp.square(x.astype(jnp.float32) - y.astype(jnp.float32)))
    return axis.mean(local, axis_name) * axis.size(axis_name)


def _root(squares: jax.Array) -> jax.Array:
    """Square root with gradient 0 at 0, as PyTorch's norm has it."""
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)
