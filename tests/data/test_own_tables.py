"""A user's data set of Hugging Face: what `datasets` saves, and Parquet files."""

import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from t2i_jax.data import catalog
from t2i_jax.data.report import DataError

from .disk_sources import write
from .own_photos import parquet, photos, saved, table, write_arrow

CLASSES = json.dumps({"info": {"features": {"label": {"names": ["owl", "emu"]}}}})


@pytest.fixture
def prepare(tmp_path):
    """prepare(**options) -> report of the folder "src"."""

    def run(**options):
        source, data = str(tmp_path / "src"), str(tmp_path / "data")
        return catalog.prepare("folder", source, data, overwrite=True, **options)

    return run


@pytest.fixture(params=["arrow", "parquet"])
def store(request, tmp_path):
    """store(table) writes it as the folder "src" in a form of Hugging Face."""

    def run(content):
        root = tmp_path / "src"
        if request.param == "parquet":
            root.mkdir(exist_ok=True)
            pa.parquet.write_table(content, root / "x.parquet", row_group_size=2)
        else:
            saved(root, photos(1))
            write_arrow(root / "data-00000-of-00001.arrow", content, rows=2)

    return run


def records(tmp_path, split="train"):
    opened = catalog.open_split("folder", str(tmp_path / "data"), split)
    return [opened[i] for i in range(len(opened))], opened.label_names


def reasons(report):
    return {key[1:]: count for key, count in report.counts.items()}


def test_classes_boxes_splits_and_what_has_no_use(store, prepare, tmp_path):
    given = photos(5)
    content = table(
        given,
        label=[0, 1, -1, None, 1],
        box=[[1.0, 2.0, 3.0, 4.0], None, [], [1.0], [0.0, 0.0, 5.0, 5.0]],
        split=["train", "validation", None, "train", "train"],
        url=["x"] * 5,
        embedding=[[0.5]] * 5,
    )
    store(content.replace_schema_metadata({"huggingface": CLASSES}))
    report = prepare()
    assert report.records == {"train": 4, "val": 1}
    assert "captions: column caption; not used: url, embedding" in report.told
    assert reasons(report) == {("repaired", "box", "not four numbers: left out"): 1}
    found, names = records(tmp_path)
    assert names == ["emu", "owl"] and [r["label"] for r in found] == [1, -1, -1, 0]
    assert [r["bbox"].tolist()[2] for r in found] == [3, 0, 0, 5]
    kept = [photo for i, photo in enumerate(given) if i != 1]
    assert [r["image"] for r in found] == [photo.data for photo in kept]
    assert [r["image/id"].rpartition(":")[2] for r in found] == ["0", "2", "3", "4"]


def test_bad_rows_are_counted(store, prepare, tmp_path):
    write(tmp_path / "src/here.jpg", photos(1)[0].data)
    write(tmp_path / "secret.jpg", photos(1)[0].data)
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = [
        {"bytes": photos(1)[0].data, "path": "/elsewhere/a.jpg"},
        {"bytes": None, "path": "here.jpg"},
        {"bytes": None, "path": "../secret.jpg"},
        {"bytes": None, "path": "gone.jpg"},
        {"bytes": b"<html>", "path": None},
        None,
        {"bytes": photos(1)[0].data, "path": None},
        {"bytes": photos(1)[0].data, "path": None},
    ]
    raw = [b"one", b"two", b"x", b"x", b"x", b"x", b"", b"caf\xe9 wall"]
    text = pa.array(raw).view(pa.string())  # which checks nothing
    store(pa.table({"image": pa.array(images, kind), "text": text}))
    report = prepare()
    assert reasons(report) == {
        ("skipped", "record", "image file points outside the folder"): 1,
        ("skipped", "record", "image file missing"): 2,
        ("skipped", "record", "a web page, not an image"): 1,
        ("skipped", "record", "no caption"): 1,
        ("skipped", "caption", "empty"): 1,
        ("repaired", "caption", "broken character (U+FFFD)"): 1,
    }
    assert [r["captions"] for r in records(tmp_path)[0]] == [["one"], ["two"], ["caf wall"]]
    assert report.examples["train", "skipped", "record", "image file missing"][0].endswith(":3")


def test_columns_that_are_missing(store, prepare):
    content = table(photos(2))
    store(content.rename_columns(["image", "mood"]))
    with pytest.raises(DataError, match="has the columns image, mood: none .* caption_0"):
        prepare()
    assert prepare(no_captions=True).records == {"train": 2}
    store(content.rename_columns(["anything", "prompts"]))
    assert prepare().records == {"train": 2}
    store(pa.table({"image": ["a.jpg"], "text": ["x"]}))
    with pytest.raises(DataError, match="none of them holds images|has 1 x .parquet. Wanted"):
        prepare()


def test_bytes_alone_are_images_by_their_name(store, prepare, tmp_path):
    given = photos(3)
    store(pa.table({"jpg": [p.data for p in given], "caption": [p.captions[0] for p in given]}))
    assert prepare().records == {"train": 3}
    assert [r["image"] for r in records(tmp_path)[0]] == [p.data for p in given]


def test_damaged_tables(prepare, tmp_path):
    for number in range(3):
        path = tmp_path / f"src/data/train-0000{number}-of-00003.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pa.parquet.write_table(table(photos(4)), path)
    path.write_bytes(path.read_bytes()[:-20])
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n"
    write(path.with_name("train-00001-of-00003.parquet"), pointer)
    report = prepare()
    assert report.records == {"train": 4}
    assert reasons(report) == {
        ("skipped", "list", "table cut short or damaged"): 1,
        ("skipped", "list", "a Git LFS pointer, not the file itself: git lfs pull gets it"): 1,
    }


def test_a_saved_stream_that_is_cut_short_or_missing(prepare, tmp_path):
    saved(tmp_path / "src", photos(21))
    path = tmp_path / "src/data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    state = {"_data_files": [{"filename": path.name}, {"filename": "../gone.arrow"}]}
    write(tmp_path / "src/state.json", json.dumps(state))
    report = prepare()
    assert report.records == {"train": 14}
    assert reasons(report) == {
        ("skipped", "list", "table cut short or damaged"): 1,
        ("skipped", "list", "table missing"): 1,
    }


def test_a_part_of_a_split_is_of_that_split(prepare, tmp_path):
    saved(tmp_path / "src", photos(3))
    state = json.loads((tmp_path / "src/state.json").read_text())
    write(tmp_path / "src/state.json", json.dumps(state | {"_split": "validation[:10%]"}))
    assert prepare().records == {"val": 3}


def test_many_row_groups_are_read_in_threads(prepare, tmp_path):
    given = photos(60, captions=1)
    parquet(tmp_path / "src", given)
    report = prepare(test_share=0)
    assert report.records == {"train": 60}
    assert [r["image"] for r in records(tmp_path)[0]] == [photo.data for photo in given]


def test_offsets_that_point_nowhere_do_not_end_the_program(prepare, tmp_path):
    given = photos(6)
    saved(tmp_path / "src", given)
    path = tmp_path / "src/data-00000-of-00001.arrow"
    content = pa.table({"image": [p.data for p in given], "text": ["some words"] * 6})
    write_arrow(path, content, rows=2)
    data = path.read_bytes()
    offsets = pa.array([0, 10, 20], pa.int32()).buffers()[1].to_pybytes()[:12]
    place = data.index(offsets, data.index(offsets) + 1)  # of the second part
    path.write_bytes(data[: place + 4] + b"\xff\xff\xff\x7f" + data[place + 8 :])
    report = prepare()
    assert report.records == {"train": 2}
    assert reasons(report) == {("skipped", "list", "table cut short or damaged"): 1}


@pytest.mark.parametrize("state", ['{"_data_files": [{"x": 1}, 7]}', '{"_data_files": 3}', "[]"])
def test_a_damaged_description_of_a_saved_set(state, prepare, tmp_path):
    saved(tmp_path / "src", photos(3))
    write(tmp_path / "src/state.json", state)
    assert prepare().records == {"train": 3}
