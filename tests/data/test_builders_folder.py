"""The user's own images."""

import json

import numpy as np
import pytest

from t2i_jax.data import catalog
from t2i_jax.data.layouts.files import MissingSource
from t2i_jax.data.report import DataError

from .disk_sources import jpeg, jsonl, write


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "My cars!"
    for i, name in enumerate(("a.jpg", "b.png", "deep/c.jpg", "d.JPG")):
        form = "PNG" if name.endswith("png") else "JPEG"
        write(folder / name, jpeg(seed=i, form=form))
    return folder


@pytest.fixture
def prepare(tmp_path, source):
    def run(text=None, **options):
        if text is not None:
            write(source / "captions.jsonl", text)
        return catalog.prepare("folder", str(source), str(tmp_path), overwrite=True, **options)

    return run


def records(data_dir, split="train", name="folder"):
    opened = catalog.open_split(name, str(data_dir), split)
    return [opened[i] for i in range(len(opened))], opened.label_names


def test_captions_classes_boxes_and_splits(prepare, tmp_path):
    report = prepare(
        jsonl(
            {"image": "a.jpg", "caption": "a red car", "class": "car"},
            {"image": "./deep/c.jpg", "captions": ["one", "two"], "box": [1, 2, 10.5, 20]},
            {"image": "b.png", "caption": "a bike", "class": "bike", "split": "test"},
            {"image": "d.JPG", "caption": "a car", "captions": ["blue"], "class": "car"},
        )
    )
    assert report.records == {"train": 3, "test": 1} and not report.counts
    assert report.captions == {"train": 5, "test": 1} and not report.warnings
    assert report.config == "My-cars-"
    train, names = records(tmp_path)
    assert names == ["bike", "car"]
    assert [r["label"] for r in train] == [1, -1, 1]
    assert [r["image/id"] for r in train] == ["a.jpg", "deep/c.jpg", "d.JPG"]
    assert [r["captions"] for r in train] == [["a red car"], ["one", "two"], ["a car", "blue"]]
    np.testing.assert_array_equal(train[1]["bbox"], np.float32([1, 2, 10.5, 20]))
    assert records(tmp_path, "test")[0][0]["image"] == jpeg(seed=1, form="PNG")


def test_numbered_classes_are_labelled_by_size(prepare, tmp_path):
    rows = zip(("a.jpg", "b.png", "d.JPG"), (10, 9, 100), strict=True)
    prepare(jsonl(*({"image": n, "caption": "x", "class": c} for n, c in rows)))
    train, names = records(tmp_path)
    assert names == ["9", "10", "100"] and [r["label"] for r in train] == [1, 0, 2]


def test_bad_lines_are_counted(prepare, tmp_path):
    good = {"image": "a.jpg", "caption": "a car"}
    lines = [
        json.dumps(good),
        "not json",
        "[1]",
        "",
        json.dumps({"image": "../secret.jpg", "caption": "x"}),
        json.dumps({"image": "/etc/secret.jpg", "caption": "x"}),
        json.dumps({"image": "C:\\secret.jpg", "caption": "x"}),
        json.dumps({"caption": "x"}),
        json.dumps({"image": "b.png", "captions": [1]}),
        json.dumps({"image": "b.png", "caption": "x", "class": [1]}),
        json.dumps({"image": "b.png", "caption": "x", "box": [1, 2]}),
        json.dumps({"image": "d.JPG", "captons": ["x"]}),
        json.dumps(good | {"caption": "again"}),
        json.dumps(good | {"split": "test"}),
        json.dumps({"image": "missing.jpg", "caption": "x"}),
    ]
    report = prepare("\r\n".join(lines))
    assert dict(report.counts) == {
        ("", "repaired", "list", "Windows line ends"): 1,
        ("", "skipped", "image", "line is not valid JSON"): 1,
        ("", "skipped", "image", "line is not a JSON object"): 1,
        ("", "skipped", "image", 'field "image" points outside the folder'): 3,
        ("", "skipped", "image", 'field "image" is not a file name'): 1,
        ("", "skipped", "image", "field 'captions' is not text"): 1,
        ("", "skipped", "image", 'field "class" is neither a name nor a number'): 1,
        ("", "repaired", "box", "not four numbers: left out"): 1,
        ("", "kept", "list", "unknown field 'captons' ignored"): 1,
        ("", "repaired", "image", "duplicate id: captions merged"): 1,
        ("", "skipped", "image", "duplicate id in two splits"): 1,
        ("train", "skipped", "record", "no caption"): 1,
        ("train", "skipped", "record", "image file missing"): 1,
    }
    places = report.examples["", "skipped", "image", "line is not valid JSON"]
    assert places == ["captions.jsonl:2"]
    assert report.notes == ["images in the folder that captions.jsonl does not name: 1"]
    assert records(tmp_path)[0][0]["captions"] == ["a car", "again"]


def test_images_without_captions_only_on_request(prepare, tmp_path):
    with pytest.raises(MissingSource, match=r"(?s)has 3 x .jpg, 1 x .png. .*captions.jsonl.*a red"):
        prepare()
    report = prepare(no_captions=True)
    assert report.records == {"train": 4} and report.config == "My-cars-_uncaptioned"
    train, _ = records(tmp_path)
    assert [r["image/id"] for r in train] == ["a.jpg", "b.png", "d.JPG", "deep/c.jpg"]
    assert all(r["captions"] == [] and r["label"] == -1 for r in train)
    report = prepare(
        jsonl({"image": "a.jpg"}, {"image": "b.png", "caption": "x"}), no_captions=True
    )
    assert report.records == {"train": 2} and report.captions == {"train": 1}


def test_odd_images_of_the_user(prepare, source, tmp_path):
    write(source / "e.webp", jpeg(form="WEBP"))
    write(source / "f.jpg", jpeg(mode="CMYK"))
    write(source / "g.jpg", b"<html>")
    names = ("e.webp", "f.jpg", "g.jpg")
    report = prepare(jsonl(*({"image": n, "caption": "x"} for n in names)), max_side=20)
    assert report.records == {"train": 2}
    assert dict(report.counts) == {
        ("train", "repaired", "image", "WEBP file re-encoded"): 1,
        ("train", "repaired", "image", "CMYK image made RGB"): 1,
        ("train", "skipped", "record", "a web page, not an image"): 1,
    }


def test_a_split_needs_a_plain_name(prepare):
    with pytest.raises(DataError, match="captions.jsonl:1: the split 'my split'"):
        prepare(jsonl({"image": "a.jpg", "caption": "x", "split": "my split"}))
