"""Penalties on what a generator makes, beside its adversarial loss; float32 scalars.

AssertionError for arrays of other shapes than the docstrings give.
"""

from collections.abc import Sequence
from typing import Literal

import chex
import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax.choices import check_choice


def gaussian_kl(
    mu: jax.Array, logvar: jax.Array, reduction: Literal["mean", "sum"] = "mean"
) -> jax.Array:
    """Divergence of N(mu, exp(logvar)) from N(0, I), [B, C] each (StackGAN, equation 2).

    reduction: over the C dimensions. "sum" is the Kullback-Leibler divergence of the paper; "mean"
        is what the authors compute: the same divided by C. The batch is averaged either way.
    """
    check_choice("reduction", reduction, ("mean", "sum"))
    chex.assert_rank(mu, 2)
    chex.assert_equal_shape([mu, logvar])
    mu, logvar = mu.astype(jnp.float32), logvar.astype(jnp.float32)
    divergence = 0.5 * (jnp.square(mu) + jnp.exp(logvar) - 1.0 - logvar)
    return jnp.mean(jnp.mean(divergence, -1) if reduction == "mean" else jnp.sum(divergence, -1))


def color_moments(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean colour [B, 3] and covariance of colours [B, 3, 3] (divided by the number of pixels) of
    each image of [B, H, W, 3].
    """
    chex.assert_shape(images, (None, None, None, 3))
    pixels = images.astype(jnp.float32).reshape(images.shape[0], -1, images.shape[-1])
    mean = jnp.mean(pixels, axis=1)
    centred = pixels - mean[:, None]
    # A product of images in reduced precision would round the small differences away.
    covariance = jnp.einsum("bni,bnj->bij", centred, centred, precision=lax.Precision.HIGHEST)
    return mean, covariance / pixels.shape[1]


def color_consistency(
    images: Sequence[jax.Array],
    form: Literal["paper", "released"] = "paper",
    mean_weight: float = 1.0,
    covariance_weight: float = 5.0,
) -> jax.Array:
    """How far the colours of images of one batch differ from scale to scale; 0 for a single scale
    (StackGAN-v2, arXiv 1710.10916, section 4.3).

    images: from low to high resolution, [B, H, W, 3] each.
    form: "paper": over all neighbouring scales, squared norms of the differences of the moments,
        averaged over the batch. "released": the authors' code. Averages over the 3 and 9 entries
        too, so that the effective weights are 1/3 and 5/9; leaves the smaller image of a pair as
        it is; and takes the two topmost pairs only.
    """
    check_choice("form", form, ("paper", "released"))
    chex.assert_equal_shape(images, dims=0)
    moments = [color_moments(x) for x in images]
    pairs = list(zip(moments[:-1], moments[1:], strict=True))
    if form == "released":
        pairs = [(lax.stop_gradient(low), high) for low, high in pairs[-2:]]
    total = jnp.zeros([], jnp.float32)
    for low, high in pairs:
        for weight, a, b in zip((mean_weight, covariance_weight), low, high, strict=True):
            squares = jnp.square(b - a)
            entries = squares[0].size if form == "released" else 1
            total += weight * jnp.sum(squares) / (squares.shape[0] * entries)
    return total


def mode_seeking(
    images: jax.Array, others: jax.Array, noise: jax.Array, other_noise: jax.Array
) -> jax.Array:
    """How much alike images of the same texts and different noise are: the mean over rows of the
    noise's mean absolute difference by that of the images (MSGAN, arXiv 1903.05628, equation 4).

    The paper maximises the images' distance by the noise's; the authors minimise its reciprocal, as
    here, and add 1e-5 to the ratio. Their ratio is that of means over the batch, in which one
    pair that differs hides another that does not; here each row has its own.

    images, others: [B, H, W, 3]; noise, other_noise: [B, Z].
    """
    chex.assert_equal_shape([images, others])
    chex.assert_equal_shape([noise, other_noise])
    between_images, between_noise = (
        jnp.mean(jnp.abs((a - b).astype(jnp.float32)).reshape(a.shape[0], -1), axis=1)
        for a, b in ((images, others), (noise, other_noise))
    )
    return jnp.mean(1.0 / (between_images / jnp.maximum(between_noise, 1e-5) + 1e-5))
