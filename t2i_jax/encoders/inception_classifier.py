"""Inception-v3 with its classifier, as images are evaluated with it: pooled features and logits.

One layout, four trainings, whose numbers must not be mixed: the graph of December 2015, which the
Fréchet Inception distance and the Inception score are defined with; torchvision's; Keras'; and
TF-slim's, trained on with birds or flowers. `t2i_jax.interop.inception_classifier` reads them.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from t2i_jax.encoders.inception_v3 import InceptionV3
from t2i_jax.models.layers import Dtype

POOLED = {"64": "pool1", "192": "pool2", "768": "Mixed_6e", "2048": "Mixed_7c"}  # width: its map


class _Head(nn.Module):
    """Vectors [B, N] -> logits [B, classes], without and with the bias."""

    classes: int

    @nn.compact
    def __call__(self, vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
        shape = (vectors.shape[-1], self.classes)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.classes,), jnp.float32)
        logits = vectors @ kernel
        return logits, logits + bias


class InceptionClassifier(nn.Module):
    """Images [B, H, W, 3], 299x299 in the range of the weights -> float32 vectors by name:

    ``"64"``, ``"192"``, ``"768"``, ``"2048"``: so many means over positions, after the two pools,
    ``Mixed_6e`` and ``Mixed_7c`` (the names are torch-fidelity's);
    ``"logits"`` and, without the bias, ``"logits_unbiased"``: [B, classes].

    pool_counts_padding, max_pool_last: see `InceptionV3`; the defaults are the graph of 2015.
    """

    classes: int = 1008
    pool_counts_padding: bool = False
    max_pool_last: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> dict[str, jax.Array]:
        """Raises ValueError where the images are smaller than 75x75."""
        trunk = InceptionV3(
            self.pool_counts_padding,
            self.dtype,
            max_pool_last=self.max_pool_last,
            name="inception",
        )
        maps = trunk(images, train)
        vectors = {width: jnp.mean(maps[name], axis=(1, 2)) for width, name in POOLED.items()}
        unbiased, logits = _Head(self.classes, name="fc")(vectors["2048"])
        return {**vectors, "logits_unbiased": unbiased, "logits": logits}
