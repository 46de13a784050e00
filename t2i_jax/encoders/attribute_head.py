"""A linear reading of attributes off a vector, one softmax an attribute."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.models.layers import Dtype


class AttributeHead(nn.Module):
    """Vectors [B, E] -> logits [B, sum(classes)]: of the first attribute's values, then the next's.

    classes: how many values each attribute has, in the order of ``data.attributes``.
    """

    classes: tuple[int, ...] = ()
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, vectors: jax.Array) -> jax.Array:
        """Raises ValueError for a head without attributes."""
        if not self.classes:
            raise ValueError(
                "attributes.classes is empty: give the number of values of each of data.attributes"
            )
        return nn.Dense(sum(self.classes), dtype=self.dtype)(vectors).astype(jnp.float32)
