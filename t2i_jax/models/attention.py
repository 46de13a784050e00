"""Attention of image positions over the words of a caption.

AttnGAN (Xu et al., arXiv 1711.10485), equation 8: every position of a feature map takes the mean of
the word features, weighted by a softmax of its dot products with them. DM-GAN reads its memory with
the same operation.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax import axis
from t2i_jax.choices import check_choice
from t2i_jax.models.layers import Dtype
from t2i_jax.models.orthogonal import orthogonal

MASK_ORDERS = ("sample", "tiled")


def attend(
    queries: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    mask: jax.Array,
    *,
    mask_order: str = "sample",
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Reads `values` at every position: -> (contexts [B, H, W, D], weights [B, H, W, T] float32).

    queries: [B, H, W, C]. keys: [B, T, C]. values: [B, T, D]. Scores are not scaled.
    mask: [B, T], True on real tokens; a caption without any spreads its weight evenly.
    mask_order: "sample": every sample has the mask of its own caption. "tiled": what the releases
        of AttnGAN, DM-GAN and DR-GAN do. The mask is repeated as a whole over the positions, so
        that position q of sample b, row b * H * W + q, gets the mask of caption (row mod B): a
        sample then depends on its neighbours and may look at its own padding.
    axis_name: mapped axis over which the batch is split; it matters to "tiled" alone.

    Raises ValueError for another order.
    """
    check_choice("mask_order", mask_order, MASK_ORDERS)
    b, h, w, c = queries.shape
    chex.assert_shape([keys, values], (b, keys.shape[1], None))
    chex.assert_shape(keys, (b, None, c))
    chex.assert_shape(mask, keys.shape[:2])
    allowed = mask[:, None, None, :]
    if mask_order == "tiled":
        rows = jnp.tile(axis.gather(mask, axis_name), (h * w, 1))
        allowed = axis.local(rows, axis_name).reshape(b, h, w, -1)
    scores = jnp.einsum("bhwc,btc->bhwt", queries, keys, preferred_element_type=jnp.float32)
    # The lowest finite number instead of -inf: a row without words stays free of NaN.
    weights = nn.softmax(jnp.where(allowed, scores, jnp.finfo(jnp.float32).min))
    return jnp.einsum("bhwt,btd->bhwd", weights.astype(values.dtype), values), weights


class WordAttention(nn.Module):
    """Word contexts of a feature map: words are projected to its width, then serve as keys and as
    values.

    mask_order, axis_name: as in `attend`.
    """

    mask_order: str = "sample"
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, features: jax.Array, words: jax.Array, mask: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """[B, H, W, C], [B, T, E], [B, T] -> (contexts [B, H, W, C], weights [B, H, W, T])."""
        project = nn.Dense(
            features.shape[-1],
            use_bias=False,
            kernel_init=orthogonal,
            dtype=self.dtype,
            name="project",
        )
        words = project(words)
        return attend(
            features, words, words, mask, mask_order=self.mask_order, axis_name=self.axis_name
        )
