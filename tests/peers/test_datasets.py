"""What Hugging Face's `datasets` and webdataset write, prepared as a user's own photos."""

import io

import numpy as np
import pytest
from PIL import Image

from t2i_jax.data import catalog

datasets = pytest.importorskip("datasets")


def photo(seed: int) -> Image.Image:
    colours = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    return Image.fromarray(colours).resize((24, 24))


def records(data_dir, name, split):
    opened = catalog.open_split(f"folder/{name}", str(data_dir), split)
    names = opened.label_names
    return [
        (opened[i]["image"], opened[i]["captions"], names[opened[i]["label"]])
        for i in range(len(opened))
    ]


def test_saved_sets_and_parquet_files(tmp_path):
    kinds = {
        "image": datasets.Image(),
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["owl", "emu"]),
    }
    rows = {
        "image": [photo(seed) for seed in range(4)],
        "text": [f"photo {seed}" for seed in range(4)],
        "label": [1, 0, 1, 0],
    }
    one = datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))
    sets = datasets.DatasetDict({"train": one, "validation": one.select([2, 1])})
    sets.save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "parquet/data").mkdir(parents=True)
    for split, part in sets.items():
        part.to_parquet(str(tmp_path / f"parquet/data/{split}-00000-of-00001.parquet"))
    for name in ("saved", "parquet"):
        report = catalog.prepare("folder", str(tmp_path / name), str(tmp_path / "data"))
        assert report.records == {"train": 4, "val": 2} and not report.counts
        train = records(tmp_path / "data", name, "train")
        assert [label for _, _, label in train] == ["emu", "owl", "emu", "owl"]
        for seed, (image, captions, _) in enumerate(train):
            np.testing.assert_array_equal(Image.open(io.BytesIO(image)), photo(seed))
            assert captions == [f"photo {seed}"]
        assert records(tmp_path / "data", name, "val") == [train[2], train[1]]


def test_shards_written_by_webdataset(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    (tmp_path / "src").mkdir()
    pattern = str(tmp_path / "src/train-%06d.tar")
    with webdataset.ShardWriter(pattern, maxcount=2, verbose=0) as shards:
        for i in range(5):
            caption = {"txt": f"photo {i}"} if i % 2 else {"json": {"caption": f"photo {i}"}}
            shards.write({"__key__": f"deep/{i}", "png": photo(i), "cls": i % 3, **caption})
    report = catalog.prepare("folder", str(tmp_path / "src"), str(tmp_path / "data"))
    assert report.records == {"train": 5} and not report.counts
    for i, (image, captions, label) in enumerate(records(tmp_path / "data", "src", "train")):
        np.testing.assert_array_equal(Image.open(io.BytesIO(image)), photo(i))
        assert captions == [f"photo {i}"] and label == str(i % 3)
