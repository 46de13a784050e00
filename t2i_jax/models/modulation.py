"""Modulated batch norm: a condition, with or without the words of a caption, scales and shifts.

XMC-GAN (Zhang et al., CVPR 2021, arXiv 2101.04702), section 4.1: self-modulation (Chen et al., ICLR
2019) by one condition an image, and attentional self-modulation, in which every position has a
condition of its own: the words of the caption that it attends to.
"""

from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.attention import attend
from t2i_jax.models.convolutions import upsample_nearest
from t2i_jax.models.layers import Dtype, normalized

GLOROT = nn.initializers.glorot_normal()


class Caption(NamedTuple):
    """What modulates: condition [B, G]; words [B, T, E] and their mask [B, T], where layers attend.

    attention: [B, h, w, T], how much each position of a grid takes of each word, where all layers
        share it; None where each layer attends by itself.
    """

    condition: jax.Array
    words: jax.Array | None = None
    mask: jax.Array | None = None
    attention: jax.Array | None = None


def cosine_attention(queries: jax.Array, keys: jax.Array, mask: jax.Array, rho: float) -> jax.Array:
    """The softmax over words of `rho` times cosines: [B, H, W, C], [B, T, C] -> [B, H, W, T]."""
    keys = normalized(keys)
    return attend(normalized(queries), rho * keys, keys, mask)[1]


class ModulatedNorm(nn.Module):
    """Batch norm without parameters, then ``gamma * x + beta``.

    attends: False: gamma and beta are affine functions of the condition. True: of each position's
        mean of the words, by its attention, next to the condition.
    gain: "gamma", the paper's, or "one_plus_gamma", the release's: ``(1 + gamma) * x + beta``.
    rho: sharpness of a layer's own attention. It compares the features of x with the words, which a
        linear layer takes to their width.

    An affine function of a weighted mean is the weighted mean of the function's values, and
    commutes with nearest upsampling. So the layers are computed for every word, not for every
    position, and those of a shared grid are upsampled as finished maps: the same numbers.
    """

    attends: bool = False
    gain: Literal["gamma", "one_plus_gamma"] = "gamma"
    rho: float = 15.0
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array, caption: Caption, train: bool
    ) -> tuple[jax.Array, jax.Array | None]:
        """[B, H, W, C] -> (the same shape, the layer's attention [B, h, w, T] if it attends)."""
        y = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.9,
            epsilon=1e-5,
            use_scale=False,
            use_bias=False,
            use_fast_variance=False,
            axis_name=self.axis_name,
            dtype=self.dtype,
            name="bn",
        )(x)
        attention = self._attention(x, caption) if self.attends else None
        gamma, beta = (self._map(name, caption, attention, x.shape) for name in ("gamma", "beta"))
        gamma = 1.0 + gamma if self.gain == "one_plus_gamma" else gamma
        return y * gamma + beta, attention

    def _attention(self, x: jax.Array, caption: Caption) -> jax.Array:
        if caption.attention is not None:
            return caption.attention
        keys = nn.Dense(
            x.shape[-1], use_bias=False, kernel_init=GLOROT, dtype=self.dtype, name="words"
        )(caption.words)
        return cosine_attention(x, keys, caption.mask, self.rho)

    def _map(
        self, name: str, caption: Caption, attention: jax.Array | None, shape: tuple[int, ...]
    ) -> jax.Array:
        """One affine function of every position's condition: [B, 1, 1, C] or [B, H, W, C]."""
        layer = nn.Dense(shape[-1], kernel_init=GLOROT, dtype=self.dtype, name=name)
        if attention is None:
            return layer(caption.condition)[:, None, None]
        words, condition = caption.words, caption.condition
        condition = jnp.broadcast_to(condition[:, None], (*words.shape[:2], condition.shape[-1]))
        of_words = layer(jnp.concatenate([words, condition.astype(words.dtype)], axis=-1))
        mixed = jnp.einsum("bhwt,btc->bhwc", attention.astype(self.dtype), of_words)
        return upsample_nearest(mixed, shape[1] // mixed.shape[1])
