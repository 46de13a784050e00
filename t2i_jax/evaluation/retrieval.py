"""Retrieval between images and captions by a trained pair of encoders: recall at 1 and at 5.

Held-out images and one caption of each are put into pools of 100, as R-precision does (AttnGAN, Xu
et al., CVPR 2018, section 4.1). In a pool every image looks for its caption and every caption for
its image, by cosine; other rows of the same class count as wrong. Chance is k / 100.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from t2i_jax import types
from t2i_jax.data.options import DataOptions
from t2i_jax.drawing.drawer import in_batches, text_inputs
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.recipes.terms import Seen
from t2i_jax.training.build import System
from t2i_jax.training.inputs import to_float

POOL = 100
RANKS = (1, 5)
_BATCH = 50
_EQUAL = 1e-9  # cosines that differ by less are one score, rounded in two ways


def recall(
    queries: np.ndarray, candidates: np.ndarray, ranks: Sequence[int] = RANKS, pool: int = POOL
) -> dict[int, float]:
    """Share of the queries whose own candidate is among the first k by cosine, in 0..1, for each k.

    queries, candidates: [N, E], row i belonging to row i. They are cut into pools of `pool` rows in
    their order; a rest that is smaller is left out unless it is all there is. A candidate that
    scores as high as the own one counts as better.

    Raises ValueError for vectors with NaN, and where there are fewer rows than the largest rank.
    """
    if not (np.isfinite(queries).all() and np.isfinite(candidates).all()):
        raise ValueError("retrieval: a vector is NaN or infinite")
    rows = min(pool, len(queries))
    if rows < max(ranks):
        raise ValueError(f"retrieval at {max(ranks)} needs as many rows, not {rows}")
    places = []
    for start in range(0, len(queries) - rows + 1, rows):
        scores = _unit(queries[start : start + rows]) @ _unit(candidates[start : start + rows]).T
        own = np.diag(scores)[:, None]
        places.append((scores > own - _EQUAL).sum(axis=1))  # 1 for the best, the own one included
    return {k: float(np.mean(np.concatenate(places) <= k)) for k in ranks}


def _unit(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


class Retrieval:
    """Recall of an encoder's training on data that it does not see.

    records: held-out images that are used, each with one caption. Images and captions are the same
    at every call.

    Raises DataError where the set has no held-out split, ValueError where the recipe has no
    `embed`, which gives the two vectors of each row.
    """

    def __init__(self, system: System, options: DataOptions, records: int):
        if not hasattr(system.recipe, "embed"):
            raise ValueError(
                f"evals: {system.config.system!r} trains no pair of encoders for retrieval"
            )
        held_out = HeldOut(options)
        count = min(records, len(held_out))
        tokens = text_inputs(system.tokenizer, held_out.captions(count))
        self._batch = {types.IMAGES: held_out.images(count), **tokens}
        self.title = f"{count} images of {held_out.title}, pools of {min(POOL, count)}"

        def embed(variables: Mapping[str, Any], batch):
            seen = Seen({**batch, types.IMAGES: to_float(batch[types.IMAGES])})
            return system.recipe.embed(variables, seen)

        self._embed = jax.jit(embed)

    def __call__(self, networks: Mapping[str, Any]) -> dict[str, float]:
        """``recall_at_<k>`` of both directions together, and each by itself.

        networks: the averaged networks, ``{"params": ..., "stats": ...}``.
        """
        variables = {"params": networks["params"]["net"], **networks["stats"].get("net", {})}
        variables = jax.device_put(variables, jax.local_devices()[0])
        found = in_batches(lambda part: self._embed(variables, part), self._batch, _BATCH)
        captions = recall(found["image"], found["text"])
        images = recall(found["text"], found["image"])
        return {
            name: value
            for k in RANKS
            for name, value in (
                (f"recall_at_{k}", (captions[k] + images[k]) / 2),
                (f"recall_at_{k}_of_captions", captions[k]),
                (f"recall_at_{k}_of_images", images[k]),
            )
        }
