"""What generated images have and drawn ones have not: blur, patterns, noise, tints.

A classifier that is trained on degraded images reads shapes and colours of parts, not textures.
"""

import chex
import jax
import jax.numpy as jnp

from t2i_jax import axis

_BLUR = (-0.5, 1.0)  # from sharpened by half to blurred by a 5 x 5 binomial
_PATTERN = 0.3  # largest amplitude of a grating, of [-1, 1]
_NOISE = 0.25  # largest standard deviation
_TINT = 0.12  # largest shift of a channel


def degrade(images: jax.Array, key: jax.Array, axis_name: str | None = None) -> jax.Array:
    """[B, H, W, 3] in [-1, 1] -> the same, each image blurred or sharpened, tinted, laid under a
    coloured grating of any frequency and direction, and with noise on it, each by a strength of its
    own between nothing and the most.

    Strengths, gratings and noise are those of the global batch: functions of `key` alone, whatever
    the number of devices.
    """
    chex.assert_shape(images, (None, None, None, 3))
    rows, height, width, _ = images.shape
    draws_key, noise_key = jax.random.split(key)
    draws = axis.uniform(draws_key, (rows, 12), axis_name)
    low, high = _BLUR
    x = _blur(images, low + (high - low) * draws[:, 0])
    x = x + _TINT * (2 * draws[:, None, None, 1:4] - 1)
    x = x + _PATTERN * draws[:, 4, None, None, None] * _grating(draws[:, 5:11], height, width)
    noise = axis.normal(noise_key, images.shape, axis_name)
    return jnp.clip(x + _NOISE * draws[:, 11, None, None, None] * noise, -1.0, 1.0)


def _blur(x: jax.Array, strength: jax.Array) -> jax.Array:
    """`strength` [B] of the way to the image convolved with (1 4 6 4 1) / 16 both ways."""
    weights, blurred = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16), x
    for ax in (1, 2):
        pad = [(0, 0)] * 4
        pad[ax] = (2, 2)
        wide, side = jnp.pad(blurred, pad, mode="edge"), x.shape[ax]
        blurred = sum(
            w * jax.lax.slice_in_dim(wide, i, i + side, axis=ax) for i, w in enumerate(weights)
        )
    return x + strength[:, None, None, None] * (blurred - x)


def _grating(draws: jax.Array, height: int, width: int) -> jax.Array:
    """Sinusoids [B, H, W, 3] in [-1, 1] from draws [B, 6]: two frequencies of up to half a period a
    pixel, the first of both signs, three phases of the channels, and a mix of grey and colour.
    """
    fy, fx = draws[:, 0] - 0.5, draws[:, 1] / 2
    phases = draws[:, 2:3] + (draws[:, 2:5] - draws[:, 2:3]) * draws[:, 5:6]
    y, x = jnp.arange(height)[:, None], jnp.arange(width)
    turns = fy[:, None, None] * y + fx[:, None, None] * x
    return jnp.sin(2 * jnp.pi * (turns[..., None] + phases[:, None, None, :]))
