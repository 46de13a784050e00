"""Records read from their bytes against what tfds reads."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from t2i_jax.data import examples

from .sources import encoded, photo

f = tfds.features
PLAIN = {
    "image": f.Image(),
    "image/id": f.Text(),
    "captions": f.Sequence(f.Text()),
    "label": f.Scalar(np.int64),
    "bbox": f.Tensor(shape=(4,), dtype=np.float32),
    "attributes": f.FeaturesDict({"beak": np.int64, "wing": np.int64}),
    "traces": f.Tensor(shape=(None, 4), dtype=np.float32),
}
RECORD = {
    "image": encoded(photo(12, 9)),
    "image/id": "Schön",
    "captions": ["a bird", "ein Vögelchen"],
    "label": -1,
    "bbox": np.array([0.5, 1, 2, 3], np.float32),
    "attributes": {"beak": 3, "wing": 0},
    "traces": np.arange(8, dtype=np.float32).reshape(2, 4) / 7,
}
# Features that the quick reading does not know.
OTHERS = {
    "embeddings": (
        f.Tensor(shape=(None, None), dtype=np.float32, encoding="zlib"),
        np.eye(3, dtype=np.float32),
    ),
    "kind": (f.ClassLabel(names=["a", "b"]), 1),
    "counts": (f.Sequence(np.int64), [3, 1]),
    "alike": (f.Tensor(shape=(2,), dtype=np.bool_), np.array([True, False])),
}


def stored(features: dict, record: dict) -> tuple[f.FeaturesDict, bytes]:
    made = f.FeaturesDict(features)
    return made, made.serialize_example(record)


def assert_as_tfds_reads(features: f.FeaturesDict, data: bytes) -> None:
    skip = {"image": tfds.decode.SkipDecoding()}
    expected = features.deserialize_example_np(data, decoders=skip)
    got = examples.ExampleParser(features)(data)
    assert got.keys() == expected.keys() and got["image"] == expected["image"]
    assert got["image/id"] == expected["image/id"].decode()
    assert got["captions"] == [caption.decode() for caption in expected["captions"]]
    for key in expected.keys() - {"image", "image/id", "captions"}:
        assert type(got[key]) in (type(expected[key]), int)
        assert np.asarray(got[key]).dtype == np.asarray(expected[key]).dtype
        np.testing.assert_equal(got[key], expected[key])


@pytest.mark.parametrize("captions", [[], ["one"], RECORD["captions"]])
@pytest.mark.parametrize("points", [0, 2])
def test_records_are_what_tfds_reads(monkeypatch, captions, points):
    features, data = stored(
        PLAIN, {**RECORD, "captions": captions, "traces": RECORD["traces"][:points]}
    )
    assert_as_tfds_reads(features, data)
    monkeypatch.setattr(f.FeaturesDict, "deserialize_example_np", None)  # which would be slow
    assert examples.ExampleParser(features)(data)["captions"] == captions


@pytest.mark.parametrize("name", OTHERS)
def test_other_features_are_left_to_tfds(name):
    feature, value = OTHERS[name]
    features, data = stored({**PLAIN, name: feature}, {**RECORD, name: value})
    assert_as_tfds_reads(features, data)


@pytest.mark.parametrize(
    ("lost", "named"), [("label", "label"), ("attributes", "attributes/wing"), ("bbox", "bbox")]
)
def test_what_a_record_lacks_is_named(lost, named):
    features, _ = stored(PLAIN, RECORD)
    there = [key for key in PLAIN if key != lost]
    _, data = stored({k: PLAIN[k] for k in there}, {k: RECORD[k] for k in there})
    with pytest.raises(ValueError, match=f"lacks.*'{named}'.*prepare the set anew"):
        examples.ExampleParser(features)(data)
