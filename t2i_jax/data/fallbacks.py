"""What options presume of a set that it lacks, and what is done in its place."""

import numpy as np

from t2i_jax.data import record_order
from t2i_jax.data.options import DataOptions
from t2i_jax.data.prepared import PreparedSplit

_LOOKED_AT = 200  # records, for boxes: reading one reads its image


def notes(source: PreparedSplit, options: DataOptions) -> list[str]:
    """In words: how records are sampled, where that was left open, and options without effect."""
    return [*_sampling(source, options), *_classes(source, options), *_boxes(source, options)]


def _sampling(source: PreparedSplit, options: DataOptions) -> list[str]:
    if options.sampling != record_order.AUTO:
        return []
    chosen = record_order.chosen(options.sampling, source.labels)
    have, count = int((source.labels >= 0).sum()), len(np.unique(source.labels))
    if not have:
        why = f"{options.title} has no classes"
    elif have < len(source):
        why = f"{len(source) - have:,} of the {len(source):,} records have no class"
    else:
        why = f"{options.title} has {count:,} class{'es' if count > 1 else ''}"
    return [f"data.sampling=auto: {chosen}, for {why}"]


def _classes(source: PreparedSplit, options: DataOptions) -> list[str]:
    labels = source.labels
    if (labels < 0).any() or (record_order.told_apart(labels) >= 0).any():
        return []
    return [f"all records of {options.title} are of one class: they are taken as without classes"]


def _boxes(source: PreparedSplit, options: DataOptions) -> list[str]:
    if not options.box_crop:
        return []
    records = np.random.default_rng(0).permutation(len(source))[:_LOOKED_AT]
    if any(source[int(i)]["bbox"][2] > 0 for i in records):
        return []
    return [
        f"data.box_crop=True: none of the {len(records):,} records looked at has a box; images "
        "without one are taken whole"
    ]
