"""Classification of several attributes at once, one softmax each."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax


def split(logits: jax.Array, classes: Sequence[int]) -> list[jax.Array]:
    """Logits [B, sum(classes)] by attribute: [B, classes[a]] each."""
    chex.assert_shape(logits, (None, sum(classes)))
    return jnp.split(logits, np.cumsum(classes)[:-1].tolist(), axis=-1)


def cross_entropy(
    logits: jax.Array, labels: jax.Array, classes: Sequence[int]
) -> tuple[jax.Array, jax.Array]:
    """(mean over rows and attributes of ``-log p(label)``, share of right answers [A]).

    logits: [B, sum(classes)]; labels: [B, A] int, each in 0..classes[a]-1.
    """
    chex.assert_shape(labels, (logits.shape[0], len(classes)))
    losses, right = [], []
    for part, truth in zip(split(logits, classes), labels.T, strict=True):
        losses.append(jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(part, truth)))
        right.append(jnp.mean((jnp.argmax(part, axis=-1) == truth).astype(jnp.float32)))
    return jnp.mean(jnp.stack(losses)), jnp.stack(right)
