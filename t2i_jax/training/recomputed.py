"""What of G's forward pass is computed anew for its backward pass.

G generates before D is updated and is differentiated after that, so that all that its backward pass
reads is held meanwhile, beside what D's own passes need. Normalizations, activations and the like
take little time to compute again.
"""

from collections.abc import Callable

import jax

from t2i_jax.models.conv import RESULT

FORMS = ("none", "elementwise", "all")
_SLOW = ("conv_general_dilated", "dot_general")
_SUMS = ("reduce_sum", "psum")  # small, and over several devices they are messages


def recomputing(forward: Callable, form: str) -> Callable:
    """`forward`, whose backward pass holds fewer arrays; the numbers are the same up to rounding.

    form: "none"; "elementwise", all but convolutions, matrix products and sums is computed again;
      "all", which holds the inputs alone.
    """
    if form == "none":
        return forward
    return jax.checkpoint(forward, policy=_is_slow if form == "elementwise" else None)


def _is_slow(primitive, *_, **params) -> bool:
    """Whether a result is held."""
    return primitive.name in (*_SLOW, *_SUMS) or params.get("name") == RESULT
