"""Terms by which an encoder's vectors are to say the attributes of the image.

Matching an image among a few dozen others needs no more of a caption than what tells these apart. A
linear classifier of the image's stored attributes (``data.attributes``), trained along, asks for
all that the caption states; what it leaves open costs the same whatever the vector is. They are
this library's own, for sets whose records have attributes.
"""

from collections.abc import Mapping

import jax

from t2i_jax.losses.attributes import cross_entropy
from t2i_jax.recipes.base import EncoderRecipe
from t2i_jax.recipes.terms import Losses, Seen, Variables
from t2i_jax.types import ATTRIBUTES


def attribute_terms(
    recipe: EncoderRecipe, variables: Variables, seen: Seen, vectors: Mapping[str, jax.Array]
) -> Losses:
    """The cross-entropy of the attributes for each of `vectors` [B, E] whose term, of its name, has
    a weight; all are read by the recipe's one head, ``attributes``.

    Raises ValueError where a weight is given, but no head, or a batch without attributes.
    """
    wanted = {name: x for name, x in vectors.items() if recipe.on(f"net.{name}")}
    head = recipe.attributes
    if wanted and head is None:
        raise ValueError(
            f"loss.net.{min(wanted)} reads attributes off vectors: give the config a section "
            "'attributes' with the number of values of each of data.attributes in 'classes'"
        )
    return {
        name: cross_entropy(
            head.apply({"params": variables["params"]["attributes"]}, x),
            seen.of(ATTRIBUTES),
            head.classes,
        )[0]
        for name, x in wanted.items()
    }
