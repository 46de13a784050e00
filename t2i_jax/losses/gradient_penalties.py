"""Penalties on the slope of a discriminator, as functions of a callable; float32 scalars.

A penalty P is a function of g = dD/dx, so its gradient in D's parameters differentiates D twice.
Reverse mode over reverse mode is several times slower than need be. Here v = dP/dg is computed
first and held constant: the gradient of P is then that of <v, dD/dx>, which is one forward
derivative of D along v. The numbers are the same; only first derivatives of the result are right.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from t2i_jax.choices import check_choice

Judge = Callable[[Any, jax.Array], Any]


def matching_aware(
    judge: Judge,
    images: Any,
    condition: jax.Array,
    *,
    scale: float = 2.0,
    exponent: float = 6.0,
    form: Literal["paper", "released"] = "paper",
) -> jax.Array:
    """Matching-aware gradient penalty (DF-GAN, arXiv 2008.05865, section 3.3), to be taken on real
    images with their own texts.

    judge: (images, condition) -> logits [B], where no sample's logit depends on another sample.
        Scales of a pyramid come as a tuple of images and, where D has one a scale, of logits.
    images: [B, H, W, 3], or a tuple of them. condition: [B, E].
    scale, exponent: the paper's k and p.
    form: "paper": scale * mean((|dD/dx| + |dD/de|)^exponent), with the images x and the condition
        e. "released": the authors' code takes one norm of both gradients together.

    Where the gradients vanish, so does the penalty's own gradient, whatever the exponent.
    """
    check_choice("form", form, ("paper", "released"))

    def penalty(slopes):
        squares = [_squares(slope) for slope in slopes]
        if form == "released":
            powers = _power(sum(squares), exponent / 2)
        else:
            powers = _power(sum(_power(x, 0.5) for x in squares), exponent)
        return scale * jnp.mean(powers)

    return _of_slopes(judge, penalty, images, condition)


def zero_centred(judge: Judge, images: Any, condition: jax.Array | None = None) -> jax.Array:
    """Half the mean squared norm of D's gradient in the images (Mescheder et al., arXiv 1801.04406,
    equation 9): R1 where the images are real, R2 where they are fake. The paper's gamma is the
    term's weight.

    Arguments as in `matching_aware`. The scales of a pyramid are summed.
    """
    return _of_slopes(
        lambda images: judge(images, condition),
        lambda slopes: 0.5 * jnp.mean(_squares(slopes)),
        images,
    )


def _of_slopes(judge, penalty, *inputs):
    """penalty(gradients of the sum of all logits in the inputs), with the right gradient."""

    def total(*inputs):
        return sum(jnp.sum(x.astype(jnp.float32)) for x in jax.tree.leaves(judge(*inputs)))

    slopes = jax.grad(total, argnums=tuple(range(len(inputs))))(*inputs)
    value, direction = jax.value_and_grad(penalty)(lax.stop_gradient(slopes))
    _, slope = jax.jvp(total, inputs, direction)
    return value + (slope - lax.stop_gradient(slope))


def _squares(slope: Any) -> jax.Array:
    """Squared norm of each sample's gradient over all leaves, [B]."""
    leaves = [x.astype(jnp.float32) for x in jax.tree.leaves(slope)]
    return sum(jnp.sum(jnp.square(x), axis=tuple(range(1, x.ndim))) for x in leaves)


def _power(x: jax.Array, exponent: float) -> jax.Array:
    """x >= 0 to a power > 0, where the derivative at 0 counts as 0."""
    positive = x > 0
    return jnp.where(positive, jnp.where(positive, x, 1.0) ** exponent, 0.0)
