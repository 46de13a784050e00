"""The real images that a protocol holds samples against."""

import dataclasses

from t2i_jax.data import catalog
from t2i_jax.data.options import DataOptions
from t2i_jax.evaluation.held_out import HeldOut, open_held_out
from t2i_jax.evaluation.image_sets import HeldOutPhotos, ImageSet, Photos
from t2i_jax.evaluation.measuring import RealImages
from t2i_jax.evaluation.protocols.base import Needs


def real_images(
    options: DataOptions,
    needs: Needs,
    held_out: HeldOut | None,
    split: str = "",
    size: int | None = None,
) -> RealImages:
    """Reference and yardstick of a protocol.

    held_out: what the samples' captions are from, if anything.
    split: the held-out split, "" for the usual one.
    size: of the samples in pixels; None: that of the options.

    The yardstick of a reference is the other split, training's for the held-out one and the other
    way round, with as many images as there are samples; without a reference it is the held-out
    images of the samples' own captions.

    Raises DataError where the data are not there.
    """
    options = dataclasses.replace(options, size=size or options.size)
    if not needs.reference:
        source = HeldOut(options, split, rule=needs.rule) if held_out is None else held_out
        return RealImages(reference=None, yardstick=HeldOutPhotos(source, needs.samples))
    kept = open_held_out(options, split)
    trained = catalog.open_split(options.name, options.data_dir, options.split)
    both = (kept, trained) if needs.reference == "held_out" else (trained, kept)
    reference = Photos(options, both[0], mirrored=needs.mirrored)
    other: ImageSet | None = Photos(options, both[1], needs.samples)
    if kept.info["split"] == trained.info["split"]:
        other = None  # there is no second split
    return RealImages(reference=reference, yardstick=other)
