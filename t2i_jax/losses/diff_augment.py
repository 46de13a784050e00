"""Differentiable augmentation of everything that a discriminator sees.

Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training" (arXiv 2006.10738), with
the settings of the authors' release. Real, mismatched and fake images of a step get the same
transforms: call with the same key.
"""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax import axis

POLICIES = ("color", "translation", "cutout")
_SHIFT = 1 / 8  # largest translation, as a part of the side
_CUTOUT = 1 / 2  # side of the square that is cut out, as a part of the image's


def diff_augment(
    images: jax.Array,
    key: jax.Array,
    policies: Sequence[str] = POLICIES,
    axis_name: str | None = None,
) -> jax.Array:
    """[B, H, W, 3] -> the same shape, each image with random transforms of its own.

    policies: any of `POLICIES`, applied in that order. "color": brightness by [-0.5, 0.5),
        saturation by a factor of [0, 2), contrast by one of [0.5, 1.5). "translation": up to an
        eighth of the side in each direction, 0 (grey) flows in. "cutout": a square of half the side
        is set to 0, centred anywhere in the image.
    axis_name: the draws are those of the global batch. Draws are parts of the side, so the
        resolutions of one pyramid stay pictures of the same thing up to rounding to whole pixels.

    Raises ValueError for an unknown policy.
    """
    chex.assert_rank(images, 4)
    if unknown := set(policies) - set(POLICIES):
        raise ValueError(f"unknown policies {sorted(unknown)}: choose from {POLICIES}")
    draws = axis.uniform(key, (images.shape[0], 7), axis_name)
    if "color" in policies:
        images = _color(images, draws[:, :3])
    if "translation" in policies:
        images = _translate(images, draws[:, 3:5])
    if "cutout" in policies:
        images = _cut_out(images, draws[:, 5:])
    return images


def _color(x: jax.Array, draws: jax.Array) -> jax.Array:
    brightness, saturation, contrast = draws.T[..., None, None, None]
    x = x + (brightness - 0.5)
    grey = jnp.mean(x, axis=-1, keepdims=True)
    x = grey + (x - grey) * (2.0 * saturation)
    mean = jnp.mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * (contrast + 0.5)


def _whole(draws: jax.Array, count: jax.Array) -> jax.Array:
    """Integers of [0, count) from uniform draws of [0, 1)."""
    return jnp.floor(draws * count).astype(jnp.int32)


def _translate(x: jax.Array, draws: jax.Array) -> jax.Array:
    reach = [int(side * _SHIFT + 0.5) for side in x.shape[1:3]]
    padded = jnp.pad(x, ((0, 0), *((r, r) for r in reach), (0, 0)))
    starts = _whole(draws, 2 * jnp.array(reach) + 1)

    def window(image, start):
        return lax.dynamic_slice(image, (*start, 0), x.shape[1:])

    return jax.vmap(window)(padded, starts)


def _cut_out(x: jax.Array, draws: jax.Array) -> jax.Array:
    keeps = []
    for side, draw in zip(x.shape[1:3], draws.T, strict=True):
        hole = int(side * _CUTOUT + 0.5)
        # An even square has its centre between two pixels, so one place more.
        first = _whole(draw, side + 1 - hole % 2) - hole // 2
        place = jnp.arange(side) - first[:, None]
        keeps.append((place < 0) | (place >= hole))
    keep = keeps[0][:, :, None] | keeps[1][:, None, :]
    return x * keep[..., None].astype(x.dtype)
