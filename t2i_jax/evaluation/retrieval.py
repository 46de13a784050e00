"""Retrieval between images and captions by networks that compare them: a trained pair of encoders,
or a discriminator that is an encoder as well.

Held-out images and one caption of each are put into pools of 100, as R-precision does (AttnGAN, Xu
et al., CVPR 2018, section 4.1). In a pool every image looks for its caption and every caption for
its image; other rows of the same class count as wrong. Chance is k / 100.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from t2i_jax import types
from t2i_jax.data.options import DataOptions
from t2i_jax.data.report import NoHeldOut
from t2i_jax.drawing.drawer import in_batches, text_inputs
from t2i_jax.evaluation import embedding
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.evaluation.intervals import share
from t2i_jax.evaluation.metrics.cosine import EQUAL, cosines
from t2i_jax.training import build, runs
from t2i_jax.training.build import System

POOL = 100
RANKS = (1, 5)
_BATCH = 50
_FEW = 10  # images whose words are scored at a time: regions by words are many numbers

Score = Callable[[Any, Any], np.ndarray]  # of I images and J captions, [I, J]


def places(
    images: Any, captions: Any, score: Score = cosines, pool: int = POOL
) -> tuple[np.ndarray, np.ndarray]:
    """Where each image finds its caption, and each caption its image, among those of its pool: [n]
    int each, 1 for the best. One that scores as high as the own one counts as better.

    images, captions: trees of arrays [N, ...], row i belonging to row i. They are cut into pools of
    `pool` rows in their order; a rest that is smaller is left out unless it is all there is.

    Raises ValueError for vectors with NaN, and where there are fewer rows than the largest rank.
    """
    if not all(np.isfinite(x).all() for x in jax.tree.leaves((images, captions))):
        raise ValueError("retrieval: a vector is NaN or infinite")
    total = len(jax.tree.leaves(images)[0])
    rows = min(pool, total)
    if rows < max(RANKS):
        raise ValueError(f"retrieval at {max(RANKS)} needs as many rows, not {rows}")
    found = []
    for start in range(0, total - rows + 1, rows):
        part = slice(start, start + rows)
        pair = (jax.tree.map(lambda x, part=part: x[part], tree) for tree in (images, captions))
        scores = score(*pair)
        better = np.diag(scores) - EQUAL[scores.dtype.name]
        found.append([(scores > better[:, None]).sum(axis=1), (scores > better).sum(axis=0)])
    of_captions, of_images = np.concatenate(found, axis=1)
    return of_captions, of_images


class Retrieval:
    """What the networks of a training find among data that they do not see.

    records: held-out images that are used, each with one caption. Images and captions are the same
    at every call.
    split, seed: see `HeldOut`.

    Raises NoHeldOut where the set has no held-out split, or one of a few images, ValueError where
    nothing that the recipe trains compares images with captions.
    """

    def __init__(
        self, system: System, options: DataOptions, records: int, split: str = "", seed: int = 0
    ):
        self._system, self._embed = system, jax.jit(embedding.embedder(system))
        held_out = HeldOut(options, split, seed)
        count = min(records, len(held_out))
        if len(held_out) < max(RANKS):
            raise NoHeldOut(
                f"retrieval at {max(RANKS)} needs as many held-out images, and {held_out.title} "
                f"has {len(held_out)}"
            )
        self.pool = min(POOL, count)
        tokens = text_inputs(system.tokenizer, held_out.captions(count))
        self._batch = {types.IMAGES: held_out.images(count), **tokens}
        self.title = f"{count} images of {held_out.title}, pools of {self.pool}"

        scores = system.recipe.scores.items()
        self._scores = {name: _few_at_a_time(score) for name, score in scores}

    def places(self, networks: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """`places` by each comparison of the recipe's `embed`.

        networks: ``{"params": by network, "stats": by player}``.
        """
        given = embedding.variables(self._system, networks)
        given = jax.device_put(given, jax.local_devices()[0])
        found = in_batches(lambda part: self._embed(*given, part), self._batch, _BATCH)
        return {
            name: places(*pair, self._scores.get(name, cosines)) for name, pair in found.items()
        }

    def __call__(self, networks: Mapping[str, Any]) -> dict[str, float]:
        """``recall_at_<k>`` by the sentence, of both directions together and each by itself, and
        ``<name>_recall_at_<k>`` by other comparisons.
        """
        values = {}
        for name, pair in self.places(networks).items():
            prefix = "" if name == "sentence" else f"{name}_"
            for k in RANKS:
                captions, images = (float(np.mean(found <= k)) for found in pair)
                values[f"{prefix}recall_at_{k}"] = (captions + images) / 2
                values[f"{prefix}recall_at_{k}_of_captions"] = captions
                values[f"{prefix}recall_at_{k}_of_images"] = images
        return values


def _few_at_a_time(score: Callable) -> Score:
    compiled = jax.jit(score)

    def scores(images: Any, captions: Any) -> np.ndarray:
        return in_batches(lambda part: compiled(part, captions), images, _FEW)

    return scores


def evaluate(
    workdir: str, config: ConfigDict, step: int | None, num: int, seed: int = 0, split: str = ""
) -> tuple[dict, dict[str, Image.Image], str]:
    """(result, pictures by name, what to print) of a run's networks at one of its checkpoints, the
    latest by default: averaged where the run averages them, else as they were trained.

    config: the run's. num: held-out images at most.

    Raises FileNotFoundError where there is no such checkpoint or no data, and as `Retrieval`.
    """
    step = runs.latest_step(workdir) if step is None else step
    system, networks = embedding.restored(config, workdir, step)
    retrieval = Retrieval(system, build.data_options(config), num, split, seed)
    found, pool = {}, retrieval.pool
    for name, pair in retrieval.places(networks).items():
        found[name] = {
            which: {
                **{f"recall_at_{k}": share(int(np.sum(at <= k)), len(at)) for k in RANKS},
                "median_place": float(np.median(at)),
                "mean_place": float(np.mean(at)),
            }
            for which, at in zip(("captions", "images"), pair, strict=True)
        }
    chance = {**{f"recall_at_{k}": k / pool for k in RANKS}, "mean_place": (pool + 1) / 2}
    result = {
        "workdir": workdir,
        "system": config.system,
        "step": step,
        "seed": seed,
        "data": retrieval.title,
        "pool": pool,
        "chance": chance,
        "comparisons": found,
    }
    return result, {}, "\n".join([retrieval.title, *_table(found, chance)])


def _table(found: Mapping[str, Mapping[str, dict]], chance: Mapping[str, float]) -> Sequence[str]:
    heads = "".join(f"  {f'first {k}':>8} {'95 % interval':>16}" for k in RANKS)
    lines = [f"{'found by':20}{heads}  median place    mean"]
    for name, directions in found.items():
        for which, row in directions.items():
            line = f"{f'{which}, {name}':20}"
            for k in RANKS:
                low, high = row[f"recall_at_{k}"]["interval"]
                line += f"  {row[f'recall_at_{k}']['share']:8.1%} {f'{low:.1%} to {high:.1%}':>16}"
            lines.append(f"{line}  {row['median_place']:12g}  {row['mean_place']:6.1f}")
    shares = "".join(f"  {chance[f'recall_at_{k}']:8.1%} {'':16}" for k in RANKS)
    lines.append(f"{'chance':20}{shares}  {'':12}  {chance['mean_place']:6.1f}")
    return lines
