"""What all builders share: schema, order, shards, metadata; and toy_birds."""

import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest

from t2i_jax.data import catalog, toy_birds
from t2i_jax.data.builders import base
from t2i_jax.data.decode import decode_rgb
from t2i_jax.data.prepared import captions_of
from t2i_jax.data.report import DataError

from . import disk_sources

SCHEMA = {"image", "image/id", "image/filename", "captions", "label", "bbox"}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("toy"))
    report = catalog.prepare("toy_birds", None, folder, num_images=130, size=16, seed=3)
    return folder, report


def toy_examples(split):
    """(index, example) of the prepared toy set, straight from the generator."""
    indices = toy_birds.split_indices(130)[split].tolist()
    return [(i, toy_birds.generate(i, seed=3, size=16)) for i in indices]


def test_toy_birds_are_the_generator_s(toy):
    folder, report = toy
    assert report.records == {"train": 105, "test": 25} and not report.faults
    assert report.path.endswith("t2i_toy_birds/16px_130_seed3/1.0.0")
    for split in ("train", "test"):
        records = catalog.open_split("toy_birds", folder, split)
        assert records.label_names == [s.name for s in toy_birds.SPECIES]
        examples = toy_examples(split)
        assert len(records) == len(examples)
        for i in (0, 7, len(records) - 1):
            record, (index, bird) = records[i], examples[i]
            assert set(record) == SCHEMA | {"attributes"}
            assert record["image/id"] == f"{index:06d}"
            np.testing.assert_array_equal(decode_rgb(record["image"]), bird.image)
            assert record["captions"] == bird.captions
            assert record["attributes"] == bird.attributes
            assert record["label"] == records.labels[i] == bird.label
            np.testing.assert_array_equal(record["bbox"], np.zeros(4, np.float32))
    assert records.info["attribute_names"]["beak_shape"] == ["short", "long", "hooked"]


def test_mixed_birds_have_no_species(tmp_path):
    report = catalog.prepare("toy_birds_mixed", None, str(tmp_path), num_images=130, size=16)
    assert report.records == {"train": 105, "test": 25} and not report.faults
    records = catalog.open_split("toy_birds_mixed", str(tmp_path), "test")
    assert records.label_names == [] and (records.labels == -1).all()
    index = int(toy_birds.split_indices(130)["test"][3])
    record, bird = records[3], toy_birds.mix(index, seed=0, size=16)
    np.testing.assert_array_equal(decode_rgb(record["image"]), bird.image)
    assert record["captions"] == bird.captions and record["attributes"] == bird.attributes


def test_records_have_plain_types_and_survive_pickling(toy):
    records = catalog.open_split("toy_birds", toy[0], "train")
    record = pickle.loads(pickle.dumps(records))[5]
    types = {"image": bytes, "image/id": str, "captions": list, "label": int, "bbox": np.ndarray}
    for key, kind in types.items():
        assert type(record[key]) is kind
    assert all(type(c) is str for c in record["captions"])
    assert all(type(v) is int for v in record["attributes"].values())
    assert record["bbox"].dtype == np.float32 and records.labels.dtype == np.int32


def test_records_keep_the_lists_order_across_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "RECORDS_PER_SHARD", 30)
    monkeypatch.setattr(base, "_RECORDS_PER_WRITE", 7)
    report = catalog.prepare("toy_birds", None, str(tmp_path), num_images=110, size=8)
    shards = list(tmp_path.glob("t2i_toy_birds/*/1.0.0/*train.array_record-*"))
    assert len(shards) == 4
    records = catalog.open_split("toy_birds", str(tmp_path), "train")
    names = [records[i]["image/id"] for i in range(len(records))]
    assert names == [f"{i:06d}" for i in range(100)] and report.records["train"] == 100
    labels = [records[i]["label"] for i in range(len(records))]
    np.testing.assert_array_equal(records.labels, labels)


def test_info_says_where_the_data_come_from(tmp_path):
    catalog.prepare("cub", str(disk_sources.cub(tmp_path / "src")), str(tmp_path))
    info = catalog.open_split("cub", str(tmp_path), "test").info
    assert info["name"] == "cub" and info["config"] == "disjoint" and info["version"] == "1.0.0"
    assert info["split"] == "test" and info["splits"] == ["train", "test"]
    assert info["num_records"] == 2 and set(info["features"]) == SCHEMA
    assert "Wah" in info["citation"] and info["homepage"].startswith("https://www.vision.caltech")


def test_tfds_finds_the_builder_by_name_and_reads_its_manual_folder(tmp_path):
    import tensorflow_datasets as tfds

    source = disk_sources.cub(tmp_path / "src")
    builder_class = catalog.DATASETS["cub"].load()
    builder = tfds.builder("t2i_cub", data_dir=tmp_path / "data", file_format="array_record")
    assert isinstance(builder, builder_class)
    builder.download_and_prepare(
        download_dir=tmp_path / "unused",
        download_config=tfds.download.DownloadConfig(manual_dir=source),
    )
    assert builder.info.splits["train"].num_examples == 3
    assert len(catalog.open_split("cub", str(tmp_path / "data"), "train")) == 3


def test_neither_preparing_nor_reading_imports_tensorflow(tmp_path):
    source = disk_sources.cub(tmp_path / "src")
    code = f"""
import sys
from t2i_jax.data import catalog
catalog.prepare("cub", {str(source)!r}, {str(tmp_path)!r}, max_side=20)
split = catalog.open_split("cub", {str(tmp_path)!r}, "train")
assert len(split[0]["captions"]) == 10
found = {{"tensorflow", "jax", "torch"}} & set(sys.modules)
sys.exit(f"imported: {{found}}" if found else 0)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""  # tfds' own prints


def test_opening_what_is_not_there(toy, tmp_path):
    folder = toy[0]
    with pytest.raises(catalog.NotPrepared, match=r"prepare --dataset=cub --source=DIR --data_dir"):
        catalog.open_split("cub", folder, "train")
    with pytest.raises(DataError, match="no split 'val'.*train, test"):
        catalog.open_split("toy_birds", folder, "val")
    with pytest.raises(DataError, match="Did you mean 'toy_birds'"):
        catalog.open_split("toybirds", folder, "train")
    with pytest.raises(catalog.NotPrepared, match="prepared are: 16px_130_seed3"):
        catalog.open_split("toy_birds/96px_5000_seed0", folder, "train")
    with pytest.raises(catalog.NotPrepared):
        catalog.open_split("toy_birds", str(tmp_path / "nowhere"), "train")


def test_several_configs_must_be_told_apart(tmp_path):
    for seed in (0, 1):
        catalog.prepare("toy_birds", None, str(tmp_path), num_images=4, size=8, seed=seed)
    with pytest.raises(DataError, match="toy_birds/8px_4_seed0, toy_birds/8px_4_seed1"):
        catalog.open_split("toy_birds", str(tmp_path), "train")
    assert len(catalog.open_split("toy_birds/8px_4_seed1", str(tmp_path), "train")) == 4


def test_captions_are_read_without_their_images(toy, monkeypatch):
    records = catalog.open_split("toy_birds", toy[0], "train")
    examples = toy_examples("train")
    monkeypatch.setattr(cv2, "imdecode", None)
    captions = captions_of(records)
    assert iter(captions) is captions  # a stream
    assert list(captions) == [bird.captions for _, bird in examples]


def test_bad_requests(tmp_path):
    source = str(disk_sources.cub(tmp_path / "src"))
    for options, message in (
        ({"split_kind": "karpathy"}, "it has: disjoint, official"),
        ({"max_side": 0}, "at least 8"),
        ({"traces": True}, "no option traces; it has: embeddings"),
    ):
        with pytest.raises(DataError, match=message):
            catalog.prepare("cub", source, str(tmp_path), **options)
    with pytest.raises(DataError, match="toy_birds is generated"):
        catalog.prepare("toy_birds", source, str(tmp_path))
    with pytest.raises(catalog.MissingSource, match="caltech.edu"):
        catalog.prepare("cub", None, str(tmp_path))
    with pytest.raises(catalog.MissingSource, match="not a folder"):
        catalog.prepare("cub", str(tmp_path / "nowhere"), str(tmp_path))
