"""COCO captions and Localized Narratives."""

import json

import numpy as np
import pytest

from t2i_jax.data import catalog
from t2i_jax.data.layouts.files import MissingSource
from t2i_jax.data.report import DataError

from . import disk_sources
from .disk_sources import jpeg, narrative, write


def records(name, data_dir, split):
    opened = catalog.open_split(name, str(data_dir), split)
    return [opened[i] for i in range(len(opened))]


@pytest.mark.parametrize(("name", "year"), [("coco", "2014"), ("coco2017", "2017")])
def test_official_layout(tmp_path, name, year):
    source = disk_sources.coco(tmp_path / "src", year)
    report = catalog.prepare(name, str(source), str(tmp_path))
    assert report.records == {"train": 2, "val": 1} and report.captions == {"train": 10, "val": 5}
    assert not report.counts and len(report.warnings) == 2
    nine, other = records(name, tmp_path, "train")
    assert nine["captions"] == [f"A photo {n} of 9." for n in range(5)]
    assert other["captions"] == [f"A photo {n} of 25." for n in range(5)]
    assert (nine["image"], nine["image/id"], nine["label"]) == (jpeg(seed=9), "9", -1)
    prefix = "COCO_train2014_" if year == "2014" else ""
    assert nine["image/filename"] == f"{prefix}000000000009.jpg"
    assert not catalog.open_split(name, str(tmp_path), "val").label_names


def test_editions_share_a_folder_and_don_t_mix(tmp_path):
    catalog.prepare("coco2017", str(disk_sources.coco(tmp_path / "src", "2017")), str(tmp_path))
    with pytest.raises(catalog.NotPrepared):
        catalog.open_split("coco", str(tmp_path), "train")


def test_attn_gan_layout(tmp_path):
    source = disk_sources.attn_gan_coco(tmp_path / "src")
    report = catalog.prepare("coco", str(source), str(tmp_path))
    assert report.records == {"train": 2, "val": 1}
    assert report.expected == {"train": 82783, "val": 40470}
    (record,) = records("coco", tmp_path, "val")
    assert record["image/filename"] == "COCO_val2014_000000000042.jpg"
    assert record["captions"][4] == "caption 4 of coco_val2014_000000000042 ."


def test_pictures_in_another_place_and_partly_missing(tmp_path):
    source = disk_sources.coco(tmp_path / "src")
    (tmp_path / "pictures").mkdir()
    (source / "train2014").rename(tmp_path / "pictures" / "train2014")
    (tmp_path / "pictures/train2014/COCO_train2014_000000000025.jpg").unlink()
    report = catalog.prepare("coco", str(source), str(tmp_path), images=str(tmp_path / "pictures"))
    assert report.records == {"train": 1}  # the pictures of val are not in that place
    assert dict(report.counts) == {
        ("", "skipped", "split", "no folder of pictures"): 1,
        ("train", "skipped", "record", "image file missing"): 1,
    }
    assert "split 'val': 0 records, the complete set has 40,504" in report.warnings


def test_bad_annotations(tmp_path):
    source = disk_sources.coco(tmp_path / "src")
    path = source / "annotations/captions_train2014.json"
    data = json.loads(path.read_text())
    data["images"].append(data["images"][0])
    data["images"].append({"id": 77, "file_name": "COCO_train2014_000000000077.jpg"})
    write(source / "train2014/COCO_train2014_000000000077.jpg", jpeg())
    data["annotations"] += [
        data["annotations"][0],
        data["annotations"][1] | {"caption": "other words"},
        {"id": 1, "image_id": 5, "caption": "of nothing"},
        {"id": 2, "image_id": 9, "caption": "two\nlines"},
        {"id": 3, "image_id": 9, "caption": " "},
    ]
    write(path, json.dumps(data))
    report = catalog.prepare("coco", str(source), str(tmp_path))
    assert dict(report.counts) == {
        ("", "skipped", "image", "duplicate id"): 1,
        ("", "skipped", "caption", "duplicate id"): 1,
        ("", "skipped", "caption", "duplicate id with other values: the first counts"): 1,
        ("", "skipped", "caption", "of an image that is not listed"): 1,
        ("train", "repaired", "caption", "line break inside"): 1,
        ("train", "skipped", "caption", "empty"): 1,
        ("train", "skipped", "record", "no caption"): 1,
    }
    assert records("coco", tmp_path, "train")[0]["captions"][5:] == ["two lines"]
    for text, message in (
        ('{"images": []', "not valid JSON"),
        ('{"images": []}', "no list 'annotations'"),
        ("[" * 100_000, "not valid JSON .nested too deeply"),
    ):
        write(path, text)
        with pytest.raises(DataError, match=f"captions_train2014.json.*{message}"):
            catalog.prepare("coco", str(source), str(tmp_path / "other"))


def test_missing_coco_names_files_and_address(tmp_path):
    with pytest.raises(MissingSource, match="(?s)captions_train2017.json.*images.cocodataset.org"):
        catalog.prepare("coco2017", str(tmp_path), str(tmp_path))


def timed(image_id, annotator, segments):
    """A full narrative with one word a segment; `segments` hold (x, y, t) points."""
    traces = [[dict(zip("xyt", p, strict=True)) for p in segment] for segment in segments]
    spoken = [
        {"utterance": f"word{i}", "start_time": i, "end_time": i + 0.5}
        for i in range(len(segments))
    ]
    extra = {"timed_caption": spoken, "traces": traces, "voice_recording": "x.ogg"}
    return narrative(image_id, annotator, "two words.", **extra)


def test_narratives_of_coco_are_joined_by_id(tmp_path):
    source = disk_sources.coco(tmp_path / "src", "2017")
    lines = [
        narrative("9", 1, "In this image.\nA bird."),
        narrative("25", 4),
        narrative("9", 2, "Another view."),
        narrative("9", 1, "In this image.\nA bird."),
        narrative("9", 1, "The same person, other words."),
        narrative("31", 1),
        "{broken\n",
        narrative("x1", 1),
        json.dumps({"image_id": "9", "caption": "no annotator"}) + "\n",
    ]
    write(source / "coco_train_captions.jsonl", "".join(lines))
    report = catalog.prepare("ln_coco", str(source), str(tmp_path))
    assert report.records == {"train": 3}
    assert dict(report.counts) == {
        ("train", "repaired", "caption", "line break inside"): 2,
        ("train", "skipped", "record", "duplicate id"): 1,
        ("train", "skipped", "record", "duplicate id with other captions"): 1,
        ("train", "skipped", "record", "image file missing"): 1,
        ("train", "skipped", "narrative", "not valid JSON"): 1,
        ("train", "skipped", "narrative", "malformed image_id"): 1,
        ("train", "skipped", "narrative", "no proper field 'annotator_id'"): 1,
    }
    found = records("ln_coco", tmp_path, "train")
    assert [r["image/id"] for r in found] == ["9_1", "25_4", "9_2"]
    assert found[0]["captions"] == ["In this image. A bird."]
    assert found[0]["image"] == found[2]["image"] == jpeg(seed=9)


def test_narratives_find_the_2014_pictures_too(tmp_path):
    pictures = disk_sources.coco(tmp_path / "coco", "2014")
    write(tmp_path / "src/coco_val_captions.jsonl", narrative("42", 1) + narrative("9", 1))
    report = catalog.prepare(
        "ln_coco", str(tmp_path / "src"), str(tmp_path), images=str(pictures), strict=True
    )
    assert report.records == {"val": 2}
    names = [r["image/filename"] for r in records("ln_coco", tmp_path, "val")]
    assert names == ["COCO_val2014_000000000042.jpg", "COCO_train2014_000000000009.jpg"]


def test_shards_are_merged_and_traces_kept(tmp_path):
    source = disk_sources.coco(tmp_path / "src", "2017")
    stem = "annotations/coco_train_localized_narratives-0000{}-of-00003.jsonl"
    points = [[(0.5, 0.25, 0.0), (0.6, -0.01, 0.1)], [(1.02, 0.5, 1.5)]]
    write(source / stem.format(0), timed("9", 1, points))
    write(source / stem.format(2), timed("25", 1, []))
    report = catalog.prepare("ln_coco", str(source), str(tmp_path), traces=True)
    assert report.config == "coco_traces" and report.records == {"train": 2}
    assert report.examples["", "skipped", "list", "shard missing"] == [
        "coco_train_localized_narratives-00001-of-00003.jsonl"
    ]
    whole, empty = records("ln_coco", tmp_path, "train")
    expected = [[0, 0.5, 0.25, 0.0], [0, 0.6, -0.01, 0.1], [1, 1.02, 0.5, 1.5]]
    np.testing.assert_array_equal(whole["traces"], np.float32(expected), strict=True)
    assert whole["utterances"] == ["word0", "word1"]
    np.testing.assert_array_equal(whole["utterance_times"], np.float32([[0, 0.5], [1, 1.5]]))
    assert empty["traces"].shape == (0, 4) and empty["utterances"] == []
    # Without traces the same files serve, if there are no smaller ones.
    report = catalog.prepare("ln_coco", str(source), str(tmp_path))
    assert report.config == "coco" and report.records == {"train": 2}
    assert "traces" not in records("ln_coco/coco", tmp_path, "train")[0]


def test_narratives_of_open_images(tmp_path):
    source = tmp_path / "src"
    write(source / "train_a/a0000000000000b1.jpg", jpeg(seed=1))
    write(source / "images/a0000000000000b2.jpg", jpeg(seed=2))
    write(source / "validation/00000000000000c3.jpg", jpeg(seed=3))
    ids = ("a0000000000000b1", "a0000000000000b2", "00000000000000ff")
    train = "".join(narrative(i, 7) for i in ids)
    write(source / "open_images_train_v6_captions.jsonl", train)
    write(source / "open_images_validation_captions.jsonl", narrative("00000000000000c3", 1))
    report = catalog.prepare("ln_openimages", str(source), str(tmp_path))
    assert report.records == {"train": 2, "val": 1}
    assert report.counts["train", "skipped", "record", "image file missing"] == 1
    images = [r["image"] for r in records("ln_openimages", tmp_path, "train")]
    assert images == [jpeg(seed=1), jpeg(seed=2)]
    assert "split 'test': 0 records, the complete set has 126,020" in report.warnings


def test_missing_narratives_and_pictures(tmp_path):
    with pytest.raises(MissingSource, match="(?s)coco_val_captions.jsonl.*localized-narratives"):
        catalog.prepare("ln_coco", str(tmp_path), str(tmp_path))
    write(tmp_path / "open_images_test_captions.jsonl", narrative("00000000000000c3", 1))
    with pytest.raises(MissingSource, match="(?s)pictures.*/test\n.*openimages.*--images"):
        catalog.prepare("ln_openimages", str(tmp_path), str(tmp_path))


def test_real_coco(shared_data, tmp_path):
    source = str(shared_data / "coco")
    report = catalog.prepare("coco", source, str(tmp_path), max_side=76)
    assert report.records == {"train": 49, "val": 317}
    assert report.captions == {"train": 245, "val": 1586}
    assert report.counts["val", "kept", "image", "grayscale: every reader makes it RGB"] == 2
    report = catalog.prepare("coco2017", source, str(tmp_path), max_side=76)
    assert report.records == {"train": 20, "val": 60}
    assert report.captions == {"train": 100, "val": 301}


def test_real_narratives(shared_data, tmp_path):
    source, pictures = shared_data / "localized_narratives", str(shared_data / "coco")
    report = catalog.prepare("ln_coco", str(source), str(tmp_path), images=pictures, max_side=76)
    assert report.records == {"val": 494} and not report.faults
    opened = catalog.open_split("ln_coco", str(tmp_path), "val")
    names = {opened[i]["image/id"].split("_")[0] for i in range(len(opened))}
    assert len(names) == 265
    full = source / "SYNTHETIC_TIMING_coco_val_localized_narratives.jsonl"
    write(tmp_path / "src/coco_val_localized_narratives.jsonl", full.read_bytes())
    report = catalog.prepare(
        "ln_coco", str(tmp_path / "src"), str(tmp_path), images=pictures, traces=True
    )
    assert report.records == {"val": 12}
    sizes = [len(r["traces"]) for r in records("ln_coco/coco_traces", tmp_path, "val")]
    assert sizes.count(0) == 1
