"""Training of a reader of images: a classifier of the attributes that the records hold.

It measures what a generator draws, so it must not mind a generator's textures: it is trained on
degraded images (`t2i_jax.losses.degradations`). It is this library's own and belongs to no paper.
"""

import dataclasses

import jax
import jax.numpy as jnp

from t2i_jax import types
from t2i_jax.encoders.small_image_net import SmallImageNet
from t2i_jax.losses.attributes import cross_entropy
from t2i_jax.losses.degradations import degrade
from t2i_jax.recipes.base import EncoderRecipe
from t2i_jax.recipes.terms import Seen, Terms, Variables, apply_train


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(EncoderRecipe):
    """Term ``attributes`` of player ``net``: the mean cross-entropy of all attributes.

    net: its vectors are the logits, so its ``embedding`` is the sum of `classes`.
    classes: how many values each of ``data.attributes`` has, in that order.
    degraded: whether it is trained on degraded images.
    """

    networks = {"net": ("net",)}
    reads = "nothing"

    net: SmallImageNet
    classes: tuple[int, ...] = ()
    degraded: bool = True

    def __post_init__(self):
        if self.net.embedding != sum(self.classes):
            raise ValueError(
                f"net.embedding={self.net.embedding}: must be {sum(self.classes)}, the sum of "
                f"recipe.classes={self.classes}"
            )

    def init(self, key: jax.Array, seen: Seen) -> dict[str, Variables]:
        """``{"net": {"params": ..., "batch_stats": ...}}``."""
        return {"net": self.net.init(key, seen.of(types.IMAGES)[:1], train=False)}

    def terms(self, variables: Variables, seen: Seen, key: jax.Array) -> Terms:
        """The term; metrics: the share of right answers over all attributes, and for the worst of
        them; new batch statistics.
        """
        images, labels = seen.of(types.IMAGES), seen.of(types.ATTRIBUTES)
        if self.degraded:
            images = degrade(images, key, self.axis_name)
        logits, state = apply_train(self.net, variables, images)
        loss, right = cross_entropy(logits, labels, self.classes)
        metrics = {"accuracy": jnp.mean(right), "accuracy_worst": jnp.min(right)}
        return Terms({"attributes": loss}, metrics, state)
