"""toy_birds: a procedural data set of cartoon birds with captions that are exactly true.

125 species are combinations of attributes (colours of body, wings, breast, crown and beak, shape
of the beak, size), 100 of them for training and 25 for testing. Images of a species differ in
pose, perch, background and jitter, and all face right: mirroring is the pipeline's. An image is a
pure function of (seed, index, size) and looks the same at every size; its attributes and captions
don't depend on the size.

Mixed birds have no species: all their attributes are drawn by themselves, so that none tells of
another. 100 species are few: two colours mostly tell which one it is, and with it all the others.
"""

from typing import NamedTuple

import numpy as np

from t2i_jax.data.toy_birds.attributes import (
    ATTRIBUTES,
    COLOURS,
    IMAGE_ATTRIBUTES,
    SPECIES,
    SPECIES_ATTRIBUTES,
    Species,
    value_names,
)
from t2i_jax.data.toy_birds.captions import write_captions
from t2i_jax.data.toy_birds.drawing import PALETTE, draw
from t2i_jax.data.toy_birds.facts import caption_facts

__all__ = [
    "ATTRIBUTES",
    "COLOURS",
    "IMAGE_ATTRIBUTES",
    "PALETTE",
    "SPECIES",
    "SPECIES_ATTRIBUTES",
    "Species",
    "ToyBird",
    "caption_facts",
    "draw",
    "draw_attributes",
    "generate",
    "mix",
    "split_indices",
    "value_names",
    "write_captions",
]

# Independent streams of random numbers of one image; mixed birds have three others.
_ATTRIBUTES, _DRAWING, _CAPTIONS = range(3)
_MIXED = 3


class ToyBird(NamedTuple):
    """One example.

    image: uint8 [S, S, 3], RGB.
    captions: ten distinct captions, each true of the image.
    label: the species, an index into SPECIES (0-99 train, 100-124 test); -1 of a mixed bird.
    attributes: the integer label of every attribute, an index into ATTRIBUTES[name].
    """

    image: np.ndarray
    captions: list[str]
    label: int
    attributes: dict[str, int]


def _generator(seed: int, index: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, index, stream]))


def draw_attributes(generator: np.random.Generator) -> dict[str, int]:
    """The attributes of a bird of no species: each drawn by itself, so that none tells of another.

    The value names of `ATTRIBUTES` are equally likely.
    """
    return {name: int(generator.random() * len(values)) for name, values in ATTRIBUTES.items()}


def generate(index: int, seed: int = 0, size: int = 96) -> ToyBird:
    """Example `index` of the endless set that `seed` defines, at size x size pixels.

    Its species is number index % 125, so every 125 consecutive examples show each species once.

    Raises:
        ValueError: negative index or seed, or a size below 8.
    """
    if index < 0 or seed < 0:
        raise ValueError(f"index is {index} and seed is {seed}; both must be 0 or more")
    label = index % len(SPECIES)
    generator = _generator(seed, index, _ATTRIBUTES)
    attributes = dict(SPECIES[label].attributes)
    for name, values in IMAGE_ATTRIBUTES.items():
        attributes[name] = int(generator.random() * len(values))
    return ToyBird(
        image=draw(attributes, _generator(seed, index, _DRAWING), size),
        captions=write_captions(attributes, _generator(seed, index, _CAPTIONS)),
        label=label,
        attributes=attributes,
    )


def mix(index: int, seed: int = 0, size: int = 96) -> ToyBird:
    """Example `index` of the endless set of mixed birds that `seed` defines; see `generate`."""
    if index < 0 or seed < 0:
        raise ValueError(f"index is {index} and seed is {seed}; both must be 0 or more")
    attributes = draw_attributes(_generator(seed, index, _MIXED + _ATTRIBUTES))
    return ToyBird(
        image=draw(attributes, _generator(seed, index, _MIXED + _DRAWING), size),
        captions=write_captions(attributes, _generator(seed, index, _MIXED + _CAPTIONS)),
        label=-1,
        attributes=attributes,
    )


def split_indices(num_images: int) -> dict[str, np.ndarray]:
    """The examples 0 ... num_images - 1 by split: {"train": int64 [N], "test": int64 [M]}.

    The split is by species (class-disjoint), 4 to 1, and the same for every seed. Mixed birds are
    split at the same places.
    """
    indices = np.arange(num_images, dtype=np.int64)
    in_train = np.array([species.split == "train" for species in SPECIES])
    mask = in_train[indices % len(SPECIES)]
    return {"train": indices[mask], "test": indices[~mask]}
