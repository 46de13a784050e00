"""What the page draws is what the sampler draws, whoever else asks at the same time."""

import concurrent.futures
import types

import numpy as np
import pytest
from tiny_runs import debug_config, gan_run

from t2i_jax import Sampler
from t2i_jax.data.tokenizers.word import WordTokenizer
from t2i_jax.demo_page import artist, facts, shown
from t2i_jax.demo_page.artist import Asked
from t2i_jax.drawing import drawer
from t2i_jax.recipes.gan_int_cls import Recipe
from t2i_jax.training import sealed

from .samplers import Scales

RED, BLUE = "a small red bird", "a blue bird"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return gan_run(tmp_path_factory.mktemp("runs") / "gan")


@pytest.fixture(scope="module")
def sampler(workdir):
    return Sampler.from_workdir(workdir, batch_size=4)


@pytest.fixture(scope="module")
def drawing(sampler):
    return artist.compiled(sampler, RED)


def test_pictures_are_those_of_the_sampler(sampler, drawing):
    assert (drawing.reads, drawing.widths, drawing.attends) == (True, (32,), False)
    asked = Asked(RED, 7, 32)
    for found, expected in (
        (drawing.images(asked, 5), sampler.sample(RED, 7, 5)),
        (drawing.images(asked, 2, 0.5), sampler.sample(RED, 7, 2, truncation=0.5)),
        (drawing.to_caption(asked, BLUE, 3), sampler.interpolate(RED, BLUE, 3, 7)),
        (drawing.to_seed(asked, 8, 3), sampler.interpolate_noise(RED, 7, 8, 3)),
    ):
        np.testing.assert_array_equal(found.images, expected)
        assert found.notes == () and found.picture.width > 32
    with pytest.raises(ValueError, match="seed=-1"):
        drawing.images(Asked(RED, -1), 1)


def test_what_is_compiled_with_is_read_by_any_vocabulary(sampler):
    """Here of one word, which is not "a"."""
    asked = []

    class Reads:
        config = debug_config()
        system = types.SimpleNamespace(tokenizer=WordTokenizer(["<end>", "vogel"]))

        def sample(self, caption, extras=(), **_):
            assert drawer.caption_problems(self.system.tokenizer, caption) == []
            asked.append(caption)
            if extras:
                raise ValueError("no such extra")
            return (np.zeros((1, 8, 8, 3), np.uint8),)

    assert artist.compiled(Reads(), None).reads and set(asked) == {"vogel"}
    assert artist.compiled(sampler, None).reads


def test_each_hears_of_its_own_caption_alone(sampler, drawing):
    """Many ask at once; every second caption has a character of its own that is not known."""
    unknown = [chr(ord("à") + i) for i in range(8)]
    captions = [text for mark in unknown for text in (f"{RED} {mark}", f"{mark} {BLUE}", RED)] * 4
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda i: drawing.images(Asked(captions[i], i), 1), range(len(captions)))
        )
    for i, drawn in enumerate(found):
        marks = [mark for mark in unknown if mark in captions[i]]
        assert [[m for m in unknown if m in note] for note in drawn.notes] == [marks] * len(marks)
    with pytest.warns(UserWarning):
        expected = sampler.sample(captions[1], 1)
    np.testing.assert_array_equal(found[1].images, expected)


def test_attention_is_a_picture_for_each_word(sampler, monkeypatch):
    """A system whose k-th token is read in the k-th row of four, and nowhere else."""

    def examine(self, networks, seen, out):
        maps = np.repeat(np.eye(4, 201), 8, axis=0)[:, None]  # [32, 1, 201]
        return {"attention": np.broadcast_to(maps, (len(out["images"][-1]), 32, 32, 201))}

    monkeypatch.setattr(Recipe, "examine", examine)
    sampler = Sampler(sampler.system, sampler.networks, batch_size=4)
    drawing = artist.compiled(sampler, "abcd")
    assert drawing.attends
    found = drawing.attention(Asked("abcd", 3))
    image = sampler.sample("abcd", 3)[0]
    assert found.labels == ("", "a", "b", "c", "d") and found.images[0].tolist() == image.tolist()
    for k, lit in enumerate(found.images[1:]):
        rows = slice(8 * k, 8 * k + 8)
        np.testing.assert_array_equal(lit[rows], image[rows])
        dark = np.delete(lit, np.r_[rows], axis=0)
        np.testing.assert_array_equal(dark, np.round(np.delete(image, np.r_[rows], axis=0) * 0.2))


def test_several_sizes_and_no_text():
    drawing = artist.compiled(Scales(), "not read")
    assert (drawing.reads, drawing.widths, drawing.attends) == (False, (8, 16), False)
    assert drawing.images(Asked(None, 3, 8), 2).images.shape == (2, 8, 8, 3)


def test_embeddings_cannot_be_typed():
    config = debug_config("encoder.name=")
    config.data.text = "embeddings"
    with pytest.raises(ValueError, match="stored embeddings"):
        artist.check_typed(config)
    artist.check_typed(debug_config())


def test_facts_of_the_run(workdir, sampler):
    drawing = types.SimpleNamespace(widths=(32,), seconds=1.5)
    found = dict(facts.facts(workdir, workdir, 2, sampler, drawing))
    assert found["Run"] == "gan" and found["Step"] == "2" and found["Images"] == "32 px"
    assert found["Cost of training"] == "not written down"
    count = sum(x.size for x in _leaves(sampler.networks["params"]["g"]))
    assert f"generator {count:,}" in found["Parameters"]
    start = {"devices": "8 x TPU v4", "processes": 1, "code": "", "from_step": 0, "to_step": 2}
    start |= {"hours": 0.5, "device_hours": 4.0, "images": 1000}
    total = {key: start[key] for key in ("hours", "device_hours", "images")}
    sealed.write(workdir / "provenance.json", {"total": total, "starts": [start]})
    found = dict(facts.facts(workdir, workdir, 2, sampler, drawing))
    assert found["Cost of training"] == (
        "4.00 h of one device (30.0 min on 8 x TPU v4), 1,000 images"
    )


def _leaves(tree):
    for value in tree.values():
        yield from _leaves(value) if isinstance(value, dict) else [value]


def test_text_of_others_is_text():
    line = "caption '<img src=x onerror=alert(1)>': unknown"
    assert "<img" not in shown.notes([line]) and "&lt;img" in shown.notes([line])
    assert shown.notes([]) == ""
