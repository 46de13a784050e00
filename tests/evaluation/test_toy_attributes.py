"""Attribute accuracy: its numbers against ones by hand, and the protocol on generators whose images
are known: one that draws the right birds, one that draws any birds, one that repeats itself.

The reader of the protocol's tests knows every picture of the renderer by heart.
"""

import numpy as np
import pytest

from t2i_jax.data import toy_birds
from t2i_jax.data.toy_birds import ATTRIBUTES
from t2i_jax.evaluation import attribute_scores as scores
from t2i_jax.evaluation import toy_attributes, toy_captions
from t2i_jax.evaluation.attribute_reader import Reader
from t2i_jax.evaluation.extractors import pixels

RED, BLUE, GREEN = (toy_birds.COLOURS.index(name) for name in ("red", "blue", "green"))
PIXELS = pixels.extractor()
SIZE = 16


# --- numbers -------------------------------------------------------------------------------------


def test_accuracy_and_chance_by_hand():
    """Stated red, red, blue and not at all; read red, blue, blue, red."""
    facts = [{"body": RED}, {"body": RED}, {"body": BLUE}, {"wing": RED}]
    counts = scores.confusion("body", facts, np.array([RED, BLUE, BLUE, RED]))
    assert counts.sum() == 3
    assert (counts[RED, RED], counts[RED, BLUE], counts[BLUE, BLUE]) == (1, 1, 1)
    found = scores.accuracy(counts)
    assert found["n"] == 3 and found["share"] == pytest.approx(2 / 3)
    # Of the six pairs of one caption and another's reading: red-blue, red-blue, red-red, red-blue,
    # blue-red, blue-blue.
    assert found["chance"] == pytest.approx(2 / 6)
    assert scores.read_instead("body", counts) == [{"stated": "red", "read": "blue", "share": 0.5}]


def test_chance_is_what_dealing_gives():
    rng = np.random.default_rng(0)
    facts = [{"beak": int(v)} for v in rng.integers(0, 4, 60)]
    read = rng.choice(4, 60, p=(0.7, 0.1, 0.1, 0.1))
    truth = np.array([fact["beak"] for fact in facts])
    shifts = [np.mean(truth == np.roll(read, k)) for k in range(1, 60)]
    found = scores.accuracy(scores.confusion("beak", facts, read))
    assert found["chance"] == pytest.approx(np.mean(shifts))


def test_nothing_stated():
    found = scores.accuracy(scores.confusion("beak", [{}, {}], np.array([0, 1])))
    assert found == {"share": None, "interval": None, "n": 0, "chance": None}


def test_the_colour_of_another_part():
    facts = [
        {"body": RED, "wing": BLUE},  # read blue: the wing's
        {"body": RED, "wing": BLUE},  # read green: nobody's
        {"body": RED, "wing": RED},  # the same colour: no question
        {"body": RED},  # no other part
        {"wing": BLUE},  # no body
        {"body": RED, "crown": BLUE, "breast": GREEN},  # read green: the breast's
    ]
    read = np.array([BLUE, GREEN, BLUE, BLUE, BLUE, GREEN])
    found = scores.misbound("body", facts, read)
    assert found["n"] == 3 and found["share"] == pytest.approx(2 / 3)
    # A beak is yellow by its own list: the second of four. It cannot be red.
    yellow = toy_birds.COLOURS.index("yellow")
    facts = [{"beak": 0, "body": yellow}, {"beak": 0, "body": RED}]
    assert scores.misbound("beak", facts, np.array([1, 1]))["share"] == 1.0
    assert scores.misbound("beak", facts, np.array([1, 1]))["n"] == 1


def test_every_colour():
    facts = [{"body": RED, "wing": BLUE}, {"body": RED, "wing": BLUE}, {"body": RED}, {"pose": 0}]
    readings = {"body": np.array([RED] * 4), "wing": np.array([BLUE, RED, RED, RED])}
    found = scores.all_colours(facts, readings)
    assert found["n"] == 3 and found["share"] == pytest.approx(2 / 3)
    assert {k: row["share"] for k, row in found["by_count"].items()} == {1: 1.0, 2: 0.5}
    # An attribute that the classifier does not read is not asked for.
    assert scores.all_colours(facts, {"body": readings["body"]})["share"] == 1.0


# --- the protocol --------------------------------------------------------------------------------


class Memory:
    """Draws birds and remembers them: the classifier that is never wrong."""

    def __init__(self):
        self.known = {}
        self.reader = Reader("memory", "digest", self.read)

    def picture(self, attributes, *seed):
        image = toy_birds.draw(attributes, np.random.default_rng(seed), SIZE)
        self.known[image.tobytes()] = attributes
        return image

    def read(self, images):
        rows = [self.known[image.tobytes()] for image in images]
        return {name: np.array([row[name] for row in rows]) for name in ATTRIBUTES}


@pytest.fixture
def memory(monkeypatch):
    memory, drawing = Memory(), toy_captions.drawing

    def remembered(bird, index, seed, size):
        image = drawing(bird, index, seed, size)
        memory.known[image.tobytes()] = bird.attributes
        return image

    monkeypatch.setattr(toy_captions, "drawing", remembered)
    monkeypatch.setattr(toy_attributes, "degraded", lambda images, seed: images)
    return memory


def evaluated(memory, draw, num=400):
    setup = toy_attributes.Setup(draw=draw, num=num, seed=5, describe={"workdir": "run"})
    return toy_attributes.evaluate(setup, memory.reader, PIXELS)


def by_facts(memory, captions, seed, num, obeys=True):
    """Birds with what the captions state, where `obeys`; all else is drawn."""
    images = []
    for i, caption in enumerate(captions):
        facts = toy_birds.caption_facts(caption) if obeys else {}
        facts = {name: ATTRIBUTES[name].index(value) for name, value in facts.items()}
        for k in range(num):
            rng = np.random.default_rng((9, seed, i, k))
            images.append(memory.picture({**toy_birds.draw_attributes(rng), **facts}, 8, i, k))
    return np.stack(images)


def test_a_generator_that_obeys_reaches_the_ceiling(memory):
    result, drawn, text = evaluated(memory, lambda *args: by_facts(memory, *args))
    assert list(result["attributes"]) == list(ATTRIBUTES)
    for row in result["attributes"].values():
        assert row["share"] == row["ceiling"] == 1.0 and row["instead"] == []
    assert result["attributes"]["body"]["misbound"]["share"] == 0
    assert result["every_colour"]["share"] == 1
    varied = result["diversity"]
    assert 0.9 < varied["mean_ratio"] < 1.1 and 0.9 < varied["nearest_ratio"] < 1.1
    assert list(drawn) == ["toy_attributes"] and "every stated colour right: 100.0%" in text


def test_a_generator_that_ignores_captions_is_at_chance(memory):
    result, _, _ = evaluated(memory, lambda *args: by_facts(memory, *args, obeys=False))
    for name, row in result["attributes"].items():
        assert row["ceiling"] == 1.0
        low, high = row["interval"]
        margin = (high - low) / 2  # 2 of the 10 intervals may miss; none does by twice
        assert low - margin < 1 / len(ATTRIBUTES[name]) < high + margin, name
        assert row["chance"] == pytest.approx(1 / len(ATTRIBUTES[name]), abs=0.05)
    assert result["every_colour"]["share"] < 0.2


def test_a_generator_with_two_pictures(memory):
    def two(captions, seed, num):
        some = by_facts(memory, captions, seed, 1)[:2]
        return some[np.arange(len(captions) * num) % 2]

    varied = evaluated(memory, two, num=40)[0]["diversity"]
    assert varied["mean_ratio"] > 0.3 and varied["nearest_ratio"] == 0


def test_what_the_reader_misreads_is_not_reported(memory):
    whole = memory.read

    def blind(images):
        return {**whole(images), "beak": np.zeros(len(images), int)}

    memory.reader = Reader("memory", "digest", blind)
    result, _, text = evaluated(memory, lambda *args: by_facts(memory, *args), num=60)
    assert "beak" not in result["attributes"] and result["read_of_drawn"]["beak"] < 0.5
    assert "not reported, since the classifier misreads drawn birds: beak" in text
    nothing = {name: np.zeros(600, int) for name in ATTRIBUTES}
    memory.reader = Reader(
        "memory", "digest", lambda images: {k: v[: len(images)] for k, v in nothing.items()}
    )
    with pytest.raises(ValueError, match="reads no attribute in 99%"):
        evaluated(memory, lambda *args: by_facts(memory, *args), num=60)


def test_one_caption_is_too_few(memory):
    with pytest.raises(ValueError, match="num=1: must be at least 2"):
        evaluated(memory, lambda *args: by_facts(memory, *args), num=1)
