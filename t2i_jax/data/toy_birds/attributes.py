"""What a toy bird can be: the attributes, their values, and the 125 species.

An image is described by one integer per attribute, an index into its tuple of value names.
The first seven attributes belong to the species; the rest are drawn for every image anew.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

COLOURS = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "brown",
    "black",
    "white",
    "grey",
)

SPECIES_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "body": COLOURS,
    "wing": COLOURS,
    "breast": COLOURS,
    "crown": COLOURS,
    "beak": ("orange", "yellow", "black", "grey"),
    "beak_shape": ("short", "long", "hooked"),
    "size": ("small", "medium", "large"),
}

IMAGE_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "pose": ("upright", "leaning"),
    "perch": ("branch", "rock", "post", "grass"),
    "background": ("sky", "leaves", "dusk", "snow"),
}

ATTRIBUTES: dict[str, tuple[str, ...]] = {**SPECIES_ATTRIBUTES, **IMAGE_ATTRIBUTES}

NUM_TRAIN_SPECIES = 100
NUM_TEST_SPECIES = 25

# The common name of a species' kind, by (beak_shape, size).
_KINDS = {
    "short": ("finch", "sparrow", "thrush"),
    "long": ("wren", "warbler", "thrasher"),
    "hooked": ("vireo", "shrike", "parrot"),
}


class Species(NamedTuple):
    """A kind of bird: what all its images share.

    name: unique, lower case, e.g. "red-crowned black-winged blue finch".
    attributes: name of each species attribute -> index into its values.
    split: "train" or "test".
    """

    name: str
    attributes: dict[str, int]
    split: str


def value_names(attributes: dict[str, int]) -> dict[str, str]:
    """The names of integer labels: {"body": 4} -> {"body": "blue"}."""
    return {name: ATTRIBUTES[name][value] for name, value in attributes.items()}


def _shuffled(values: Sequence[int], source: random.Random) -> list[int]:
    # Sorting by random() rather than shuffle(): Python promises only random() to stay the same.
    keys = [source.random() for _ in values]
    return [value for _, value in sorted(zip(keys, values, strict=True))]


def _make_species() -> tuple[Species, ...]:
    """Draw the species: every value equally often in each split, no two alike in the name.

    Balancing each split by itself puts every attribute value on both sides; a fixed seed makes
    the species part of the data set's definition, the same whatever seed draws the images.
    """
    source = random.Random(2016)
    species, seen = [], set()
    for split, count in (("train", NUM_TRAIN_SPECIES), ("test", NUM_TEST_SPECIES)):
        columns = {
            name: _shuffled([k % len(values) for k in range(count)], source)
            for name, values in SPECIES_ATTRIBUTES.items()
        }
        wings = columns.pop("wing")
        for k in range(count):
            chosen = {name: column[k] for name, column in columns.items()}
            fits = (w for w in wings if (chosen["body"], w, chosen["crown"]) not in seen)
            chosen["wing"] = next(fits)
            wings.remove(chosen["wing"])
            seen.add((chosen["body"], chosen["wing"], chosen["crown"]))
            chosen = {name: chosen[name] for name in SPECIES_ATTRIBUTES}
            words = value_names(chosen)
            kind = _KINDS[words["beak_shape"]][chosen["size"]]
            name = f"{words['crown']}-crowned {words['wing']}-winged {words['body']} {kind}"
            species.append(Species(name, chosen, split))
    return tuple(species)


SPECIES: tuple[Species, ...] = _make_species()
