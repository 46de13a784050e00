"""A user's folder in whichever layout: recognised, and read as the same photos and captions."""

import collections
import io
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from t2i_jax.commands import prepare
from t2i_jax.data import catalog
from t2i_jax.data.layouts.files import MissingSource
from t2i_jax.drawing import given

from . import own_photos
from .disk_sources import write
from .own_photos import LAYOUTS, Photo, photos, shard

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared/data/cub"
SPLITS = ("train", "test")


def contents(data_dir, name):
    """{split: how often each pair of image and captions is in it}."""
    found = {}
    for split in catalog.split_names(f"folder/{name}", data_dir):
        opened = catalog.open_split(f"folder/{name}", data_dir, split)
        records = (opened[i] for i in range(len(opened)))
        found[split] = collections.Counter((r["image"], *r["captions"]) for r in records)
    return found


def test_every_layout_is_the_same_set(tmp_path, capsys):
    drawn = photos(30)
    sides = []
    for number, (name, make) in enumerate(LAYOUTS.items()):
        make(tmp_path / f"of{number}", drawn)
        arguments = ["--dataset=folder", f"--source={tmp_path / f'of{number}'}"]
        assert prepare.main([*arguments, f"--data_dir={tmp_path / 'data'}"]) == 0
        assert f"layout: {name}" in capsys.readouterr().err
        path = tmp_path / f"data/t2i_folder/of{number}/1.0.0/prepare_report.json"
        report = json.loads(path.read_text())
        assert report["layout"] == name and report["told"][0].startswith(f"layout: {name}")
        assert report["problems"] == [] and report["warnings"] == []
        sides.append(contents(tmp_path / "data", f"of{number}"))
    assert sorted(sides[0]) == sorted(SPLITS)
    for side in sides:
        assert side == sides[0]
    whole = sides[0]["train"] + sides[0]["test"]
    assert whole == collections.Counter((p.data, *p.captions) for p in drawn)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared photos")
def test_two_hundred_real_photos(tmp_path):
    taken = []
    for path in sorted((SHARED / "CUB_200_2011/images").glob("*/*.jpg"))[::2][:200]:
        text = SHARED / "text_c10" / path.parent.name / f"{path.stem}.txt"
        lines = text.read_bytes().decode("utf-8", "replace").split("\n")
        captions = [line.strip() for line in lines if line.strip()]
        taken.append(Photo(path.name, path.read_bytes(), captions))
    assert len(taken) == 200
    sides = []
    for number, make in enumerate(LAYOUTS.values()):
        source = tmp_path / f"of{number}"
        make(source, taken)
        report = catalog.prepare("folder", str(source), str(tmp_path / "data"), max_side=76)
        assert sum(report.records.values()) == 200
        assert sum(report.captions.values()) == sum(len(photo.captions) for photo in taken)
        sides.append(contents(tmp_path / "data", f"of{number}_side76"))
    for side in sides:
        assert side == sides[0]
    assert 10 <= sides[0]["test"].total() <= 30


def test_of_several_layouts_the_first_counts_and_the_others_are_told(tmp_path):
    few = photos(3)
    source = tmp_path / "src"
    for make in (own_photos.captions_list, own_photos.beside, own_photos.webdataset):
        make(source, few)
    report = catalog.prepare("folder", str(source), str(tmp_path / "data"))
    assert report.layout == "captions.jsonl" and report.records == {"train": 3}
    assert report.told[1] == (
        "left: text files beside images (000.txt, 001.txt and 1 more) and webdataset shards "
        "(00000.tar, 00001.tar), since captions.jsonl comes first"
    )
    (source / "captions.jsonl").unlink()
    report = catalog.prepare("folder", str(source), str(tmp_path / "data"), overwrite=True)
    assert report.layout == "text files beside images"
    for path in source.glob("*.txt"):
        path.unlink()
    report = catalog.prepare("folder", str(source), str(tmp_path / "data"), overwrite=True)
    assert report.layout == "webdataset shards"
    assert report.notes == ["images in the folder that webdataset shards does not name: 3"]
    again = catalog.prepare("folder", str(source), str(tmp_path / "data"))
    assert again.already and again.layout == report.layout and again.told == report.told


def test_an_unknown_layout_is_answered_with_what_is_there_and_what_is_wanted(tmp_path):
    for name in ("a.jpg", "deep/b.JPG", "c.png", "labels.xml", "notes", ".hidden.txt"):
        write(tmp_path / "src" / name, b"x")
    with pytest.raises(MissingSource) as error:
        catalog.prepare("folder", str(tmp_path / "src"), str(tmp_path / "data"))
    message = str(error.value)
    assert "has 2 x .jpg, 1 x .png, 1 x .xml, 1 x no ending. Wanted are" in message
    for word in ("captions.jsonl", "metadata.csv", "x.txt", ".tar", "save_to_disk", ".parquet"):
        assert word in message


@pytest.mark.parametrize("name", LAYOUTS)
def test_photos_to_draw_from_are_found_in_every_layout(name, tmp_path):
    folder = photos(3)
    LAYOUTS[name](tmp_path / "src", folder)
    found = given.pairs([str(tmp_path / "src")], [])
    assert [pair.caption for pair in found] == [photo.captions[0] for photo in folder]
    for pair, photo in zip(found, folder, strict=True):
        np.testing.assert_array_equal(pair.photo, Image.open(io.BytesIO(photo.data)))
    assert len(given.pairs([str(tmp_path / "src")], ["one", "two"])) == 6


def test_a_photo_to_draw_from_that_is_none_is_named(tmp_path):
    shard(tmp_path / "src/0.tar", {"a.jpg": b"<html>", "a.txt": "a page"})
    with pytest.raises(ValueError, match=r"0\.tar/a\.jpg: "):
        given.pairs([str(tmp_path / "src")], [])
    shard(tmp_path / "src/0.tar", {"a.jpg": photos(1)[0].data})
    with pytest.raises(ValueError, match=r"(?s)0\.tar/a\.jpg has no caption: .*metadata\.csv"):
        given.pairs([str(tmp_path / "src")], [])
