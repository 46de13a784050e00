"""Captions to measure by what they state: of toy birds whose attributes are drawn by themselves.

No species is behind them, so that no stated attribute tells of another, and a bird of a training
set is met by accident only.
"""

from typing import NamedTuple

import numpy as np

from t2i_jax.data import toy_birds

# Streams of random numbers that no data set draws from.
_CAPTION, _DRAWING = 11, 12


class Stated(NamedTuple):
    """A caption and the bird behind it.

    attributes: all of the bird, as integer labels.
    facts: those of them that the caption states.
    """

    caption: str
    attributes: dict[str, int]
    facts: dict[str, int]


def stated(index: int, seed: int = 0) -> Stated:
    """The caption of number `index` of an endless list that `seed` defines.

    Raises ValueError for a negative index or seed.
    """
    if index < 0 or seed < 0:
        raise ValueError(f"index is {index} and seed is {seed}; both must be 0 or more")
    generator = np.random.default_rng((seed, index, _CAPTION))
    attributes = toy_birds.draw_attributes(generator)
    caption = toy_birds.write_captions(attributes, generator, count=1)[0]
    facts = {name: attributes[name] for name in toy_birds.caption_facts(caption)}
    return Stated(caption, attributes, facts)


def drawing(bird: Stated, index: int, seed: int, size: int) -> np.ndarray:
    """A picture of the caption's bird, uint8 [size, size, 3], by the renderer of the data set."""
    return toy_birds.draw(bird.attributes, np.random.default_rng((seed, index, _DRAWING)), size)


def variation(bird: Stated, index: int, number: int, seed: int, size: int) -> np.ndarray:
    """Picture `number` of what the caption may mean, uint8 [size, size, 3]: a bird with all that it
    states, of which everything else is drawn anew.
    """
    generator = np.random.default_rng((seed, index, _DRAWING, number))
    attributes = {**toy_birds.draw_attributes(generator), **bird.facts}
    return toy_birds.draw(attributes, generator, size)
