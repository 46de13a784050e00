"""toy_birds: deterministic, the same at every size, split by species, captions exactly true."""

import collections
import os
import re
import subprocess
import sys
import zlib

import numpy as np
import pytest

from t2i_jax.data import toy_birds
from t2i_jax.data.toy_birds import caption_facts

PARTS = ("body", "wing", "breast", "crown", "beak")


@pytest.fixture(scope="module")
def birds():
    """Two examples of every species."""
    return [toy_birds.generate(k, seed=5, size=64) for k in range(2 * len(toy_birds.SPECIES))]


def draw(attributes, index, size=64):
    return toy_birds.draw(attributes, np.random.Generator(np.random.PCG64(index)), size)


def test_examples_have_the_promised_form(birds):
    for k, bird in enumerate(birds):
        assert bird.image.shape == (64, 64, 3) and bird.image.dtype == np.uint8
        assert len(bird.captions) == len(set(bird.captions)) == 10
        assert bird.label == k % len(toy_birds.SPECIES)
        assert list(bird.attributes) == list(toy_birds.ATTRIBUTES)
        species = toy_birds.SPECIES[bird.label]
        assert species.attributes == {name: bird.attributes[name] for name in species.attributes}


def test_an_example_depends_on_seed_and_index_only(birds):
    for k in (17, 3, 101):  # in another order than the fixture's
        again = toy_birds.generate(k, seed=5, size=64)
        assert np.array_equal(again.image, birds[k].image)
        assert again[1:] == birds[k][1:]
    other = toy_birds.generate(17, seed=6, size=64)
    assert not np.array_equal(other.image, birds[17].image)
    assert other.captions != birds[17].captions


def test_another_process_makes_the_same_bytes(birds):
    program = (
        "import zlib; from t2i_jax.data import toy_birds\n"
        "bird = toy_birds.generate(17, seed=5, size=64)\n"
        "print(zlib.crc32(bird.image.tobytes()), zlib.crc32(repr(bird[1:]).encode()))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    bird = birds[17]
    expected = [zlib.crc32(bird.image.tobytes()), zlib.crc32(repr(bird[1:]).encode())]
    assert [int(word) for word in output.stdout.split()] == expected


def test_images_of_a_species_differ(birds):
    n = len(toy_birds.SPECIES)
    for first, second in zip(birds[:n], birds[n:], strict=True):
        difference = first.image.astype(float) - second.image.astype(float)
        assert np.abs(difference).mean() > 5


@pytest.mark.parametrize("small,factor", [(64, 2), (64, 4), (50, 3)])
def test_a_picture_is_the_same_at_every_size(small, factor):
    biases = []
    for index in range(12):
        low = toy_birds.generate(index, size=small)
        high = toy_birds.generate(index, size=small * factor)
        assert low[1:] == high[1:]
        blocks = high.image.reshape(small, factor, small, factor, 3).astype(float)
        difference = blocks.mean(axis=(1, 3)) - low.image
        # What remains is the rounding of edges to a quarter of a pixel.
        assert np.abs(difference).mean() < 1.6  # of 255
        assert np.quantile(np.abs(difference), 0.99) < 26
        biases.append(difference.mean())
    assert abs(np.mean(biases)) < 0.1  # and it has no preferred side


def test_the_split_is_by_species_with_every_value_on_both_sides():
    by_split = collections.defaultdict(list)
    for species in toy_birds.SPECIES:
        by_split[species.split].append(species)
    assert {split: len(members) for split, members in by_split.items()} == {
        "train": 100,
        "test": 25,
    }
    for members in by_split.values():
        for name, values in toy_birds.SPECIES_ATTRIBUTES.items():
            counts = np.bincount([s.attributes[name] for s in members], minlength=len(values))
            assert counts.min() > 0 and np.ptp(counts) <= 1, name
    combinations = {tuple(species.attributes.values()) for species in toy_birds.SPECIES}
    names = {species.name for species in toy_birds.SPECIES}
    assert len(combinations) == len(names) == len(toy_birds.SPECIES)


def test_splits_are_disjoint_in_class():
    indices = toy_birds.split_indices(300)
    assert sorted([*indices["train"], *indices["test"]]) == list(range(300))
    labels = {
        split: {toy_birds.generate(i, seed=2, size=16).label for i in part.tolist()}
        for split, part in indices.items()
    }
    assert labels["train"] == set(range(100)) and labels["test"] == set(range(100, 125))


def test_captions_state_true_facts_and_different_ones(birds):
    mentioned = collections.Counter()
    for bird in birds:
        truth = toy_birds.value_names(bird.attributes)
        stated = [caption_facts(caption) for caption in bird.captions]
        for caption, facts in zip(bird.captions, stated, strict=True):
            assert 2 <= len(facts) <= 5, caption
            assert facts.items() <= truth.items(), caption
            mentioned.update(facts.keys())
        assert len({frozenset(facts) for facts in stated}) >= 5
    assert set(mentioned) == set(toy_birds.ATTRIBUTES)
    assert min(mentioned.values()) > 0.03 * 10 * len(birds)


def test_no_word_of_a_caption_escapes_the_parser(birds):
    # Every colour word in a caption is a stated fact: as many colours as colour facts.
    colour = re.compile("|".join(toy_birds.COLOURS))
    for bird in birds:
        for caption in bird.captions:
            facts = caption_facts(caption)
            assert len(colour.findall(caption)) == sum(part in facts for part in PARTS), caption


def test_captions_are_short_and_plain(birds):
    for caption in (caption for bird in birds for caption in bird.captions):
        assert 10 < len(caption) <= 120
        assert re.fullmatch(r"[a-z ,.\-]+", caption), caption
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|  | ,", caption), caption


def test_facts_of_sentences_that_people_write():
    facts = caption_facts("this bird has a red crown, black wings and a short orange beak")
    assert facts == {"crown": "red", "wing": "black", "beak_shape": "short", "beak": "orange"}
    facts = caption_facts("a tiny yellow bird with grey wings perched on a branch at dusk.")
    assert facts == {
        "size": "small",
        "body": "yellow",
        "wing": "grey",
        "perch": "branch",
        "background": "dusk",
    }
    assert caption_facts("a man on a bicycle") == {}
    with pytest.raises(ValueError, match="both red and blue of the wing"):
        caption_facts("a bird with red wings and blue wings")


@pytest.mark.parametrize(
    "part,least", list(zip(PARTS, (0.02, 0.02, 0.015, 0.008, 0.003), strict=True))
)
def test_colours_can_be_read_off_the_pixels(birds, part, least):
    # What changes when only this part's colour changes is the part: its median colour must be
    # nearest to the colour that the attributes name, in some light.
    values = toy_birds.ATTRIBUTES[part]
    palette = np.array([toy_birds.PALETTE[name] for name in values], float)
    palette = palette[:, None] * np.linspace(0.75, 1.1, 8)[:, None]
    shares = []
    for index in range(0, 120, 2):
        attributes = birds[index].attributes
        other = {**attributes, part: (attributes[part] + 3) % len(values)}
        # At 128 pixels: the smallest beaks are mostly edge at 64.
        image = draw(attributes, index, 128).astype(float)
        changed = np.abs(image - draw(other, index, 128)).sum(axis=-1) > 60
        shares.append(changed.mean())
        colour = np.median(image[changed], axis=0)
        nearest = np.argmin(np.linalg.norm(palette - colour, axis=-1).min(axis=1))
        assert values[nearest] == values[attributes[part]], (index, part, colour)
    assert np.mean(shares) > least


def test_birds_fill_the_frame_and_sizes_are_in_order(birds):
    widths = collections.defaultdict(list)
    for index in range(80):
        attributes = dict(birds[index].attributes)
        image = draw(attributes, index).astype(float)
        changed = np.zeros((64, 64), bool)
        for part in PARTS:
            count = len(toy_birds.ATTRIBUTES[part])
            other = {**attributes, part: (attributes[part] + 1) % count}
            changed |= np.abs(image - draw(other, index)).sum(axis=-1) > 30
        columns = np.flatnonzero(changed.any(axis=0))
        assert columns[0] > 0 and columns[-1] < 63  # never cut off
        widths[attributes["size"]].append((columns[-1] - columns[0] + 1) / 64)
    small, medium, large = (np.mean(widths[k]) for k in range(3))
    assert 0.4 < small < medium < large < 0.85


def test_birds_face_right(birds):
    # The beak, found by changing its colour, is on the right: no caption names a side, so that a
    # pipeline may mirror the pictures.
    for index in range(20):
        attributes = birds[index].attributes
        other = {**attributes, "beak": (attributes["beak"] + 1) % 4}
        changed = draw(attributes, index) != draw(other, index)
        assert np.nonzero(changed.any(axis=-1))[1].mean() > 32


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="index is -1"):
        toy_birds.generate(-1)
    with pytest.raises(ValueError, match="size is 4"):
        toy_birds.generate(0, size=4)


def test_attributes_of_mixed_birds_do_not_tell_of_each_other():
    birds = [toy_birds.mix(k, seed=1, size=8) for k in range(500)]
    again = toy_birds.mix(499, seed=1, size=8)
    assert np.array_equal(again.image, birds[-1].image) and again[1:] == birds[-1][1:]
    assert {bird.label for bird in birds} == {-1}
    values = {name: [b.attributes[name] for b in birds] for name in toy_birds.ATTRIBUTES}
    for name, seen in values.items():
        assert set(seen) == set(range(len(toy_birds.ATTRIBUTES[name])))
    table = np.array(list(values.values()), float)
    correlations = np.corrcoef(table) - np.eye(len(table))
    assert np.abs(correlations).max() < 4 / np.sqrt(len(birds))
    pairs = {(b.attributes["body"], b.attributes["wing"]) for b in birds}
    assert len(pairs) > 95  # of the 100; 100 species have fewer
    with pytest.raises(ValueError, match="index is -1"):
        toy_birds.mix(-1)
