"""Which records, captions and images samples are held against."""

import io

import numpy as np
import pytest
from PIL import Image

from t2i_jax.data import catalog
from t2i_jax.data.options import DataOptions
from t2i_jax.data.report import DataError
from t2i_jax.evaluation.held_out import HeldOut


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=200, size=32)
    return str(folder)


@pytest.fixture
def options(data_dir):
    return DataOptions(name="toy_birds", data_dir=data_dir, size=24)


def test_each_record_once_before_any_comes_again(options):
    test = catalog.open_split("toy_birds", options.data_dir, "test")
    held_out = HeldOut(options, seed=4)
    count = len(test)
    assert len(held_out) == count and held_out.title == "toy_birds/test"
    captions = held_out.captions(2 * count)
    sets = [set(test[i]["captions"]) for i in range(count)]
    order = [int(i) for i in held_out._order]
    assert sorted(order) == list(range(count)) != order
    assert all(c in sets[order[i % count]] for i, c in enumerate(captions))
    assert captions[:count] != captions[count:], "another caption of the record, mostly"


def test_a_caption_depends_on_seed_and_index_alone(options):
    captions = HeldOut(options, seed=4).captions(9)
    assert HeldOut(options, seed=4).captions(5) == captions[:5]
    assert HeldOut(options, seed=5).captions(9) != captions


def test_every_caption_of_every_image_in_turn(options):
    """In an order that the seed does not change, which mixes classes from the first images on."""
    test = catalog.open_split("toy_birds", options.data_dir, "test")
    count = len(test)
    held_out = HeldOut(options, seed=4, rule="every")
    records = held_out.records(3 * count)
    assert sorted(records[:count]) == list(range(count)) and list(records[:9]) != list(range(9))
    np.testing.assert_array_equal(records[count:], np.tile(records[:count], 2))
    captions = held_out.captions(3 * count)
    for i, caption in enumerate(captions):
        choices = test[int(records[i])]["captions"]
        assert caption == choices[i // count % len(choices)]
    assert HeldOut(options, seed=5, rule="every").captions(7) == captions[:7]
    assert held_out.captions(4, start=count) == captions[count : count + 4]
    labels = held_out.labels(2 * count)
    np.testing.assert_array_equal(labels[:count], np.asarray(test.labels)[records[:count]])


def test_images_without_classes_are_their_own(monkeypatch):
    source = Source([{}] * 3)
    source.labels = np.array([-1, 5, -1], np.int32)
    labels = opened(monkeypatch, source).labels(6)
    assert len(set(labels[:3].tolist())) == 3 and (labels[:3] == labels[3:]).all()


def test_images_are_those_of_the_captions_and_none_comes_twice(options):
    held_out = HeldOut(options, seed=4)
    images = held_out.images(3)
    assert images.shape == (3, 24, 24, 3) and images.dtype == np.uint8
    test = catalog.open_split("toy_birds", options.data_dir, "test")
    for image, i in zip(images, held_out._order, strict=False):
        with Image.open(io.BytesIO(test[int(i)]["image"])) as photo:
            small = photo.convert("RGB").resize((28, 28), Image.Resampling.BILINEAR)
        middle = np.asarray(small, np.int64)[2:26, 2:26]  # 24 * 76 / 64 = 28
        assert np.abs(middle - image).mean() < 4
    assert len(held_out.images(10_000)) == len(test)
    np.testing.assert_array_equal(held_out.images(2), images[:2])


class Source(list):
    info = {"split": "test", "splits": ["train", "test"]}


def opened(monkeypatch, source):
    monkeypatch.setattr(catalog, "open_split", lambda name, data_dir, split: source)
    return HeldOut(DataOptions(name="birds"))


def test_stored_embeddings(monkeypatch):
    records = [{"image/id": "a", "captions": ["x"], "embeddings": np.float32([[1, 2]])}] * 3
    vectors = opened(monkeypatch, Source(records)).embeddings(4)
    assert vectors.dtype == np.float32 and vectors.tolist() == [[1, 2]] * 4


@pytest.mark.parametrize("key", ["captions", "embeddings"])
def test_a_record_without_text_is_named(monkeypatch, key):
    held_out = opened(monkeypatch, Source([{"image/id": "a7", "captions": []}]))
    with pytest.raises(ValueError, match=f"birds/test, record 'a7': it has no {key}"):
        getattr(held_out, key)(1)


def test_val_stands_in_for_test_and_a_split_can_be_named(monkeypatch, options):
    assert HeldOut(options, split="train").title == "toy_birds/train"
    with pytest.raises(DataError, match="no split 'nothing'"):
        HeldOut(options, split="nothing")
    splits = ["train", "val"]

    def open_split(name, data_dir, split):
        source = Source([{}])
        source.info = {"split": split, "splits": splits}
        return source

    monkeypatch.setattr(catalog, "open_split", open_split)
    assert HeldOut(options).title == "toy_birds/val"
    splits.remove("val")
    with pytest.raises(DataError, match="no split test or val, only: train; .* another .--split"):
        HeldOut(options)


def test_what_is_wrong(options):
    with pytest.raises(ValueError, match="seed=-1"):
        HeldOut(options, seed=-1)
    with pytest.raises(FileNotFoundError, match="t2i_jax.prepare"):
        HeldOut(DataOptions(name="toy_birds", data_dir="nowhere"))
