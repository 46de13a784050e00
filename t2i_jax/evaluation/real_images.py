"""The real images that a protocol holds samples against."""

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
) -> RealImages:
    """Reference and yardstick of a protocol.

    options: of the data, at the size of the samples.
    held_out: what the samples' captions are from, at that size; None: captions of the user's, or
        none, which have no real images of their own.
    split: the held-out split, "" for the usual one.

    The yardstick of a reference is the other split, training's for the held-out one and the other
    way round, with as many images as there are samples, if it has so many; without a reference it
    is the held-out images of the samples' own captions.

    Raises DataError where the data are not there.
    """
    if not needs.reference:
        own = None if held_out is None else HeldOutPhotos(held_out, needs.samples)
        return RealImages(reference=None, yardstick=own)
    kept = open_held_out(options, split)
    trained = catalog.open_split(options.name, options.data_dir, options.split)
    both = (kept, trained) if needs.reference == "held_out" else (trained, kept)
    reference = Photos(options, both[0], mirrored=needs.mirrored)
    other: ImageSet | None = Photos(options, both[1], needs.samples)
    if kept.info["split"] == trained.info["split"]:
        other = None  # there is no second split
    return RealImages(reference=reference, yardstick=other)
