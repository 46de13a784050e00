"""The papers' sets with lists that lack, repeat or contradict: told, never a traceback."""

import json
import pickle

import numpy as np
import pytest
from scipy.io import savemat

from t2i_jax.data import catalog
from t2i_jax.data.layouts.files import MissingSource
from t2i_jax.data.report import DataError

from . import disk_sources
from .disk_sources import BIRD_SPLITS, narrative, write

LAYSAN = "002.Laysan_Albatross/Laysan_Albatross_0001_3"
SOOTY = "003.Sooty_Albatross/Sooty_Albatross_0001_5"


@pytest.fixture
def prepare(tmp_path):
    """prepare(name, source, **options) -> the report."""

    def run(name, source, **options):
        return catalog.prepare(name, str(source), str(tmp_path / "data"), overwrite=True, **options)

    return run


def found(report):
    """{reason: count} of all problems."""
    reasons = {}
    for (_, _, _, reason), count in report.counts.items():
        reasons[reason] = reasons.get(reason, 0) + count
    return reasons


def emptied(path):
    """A folder without anything in it that is data."""
    for child in path.iterdir():
        child.unlink() if child.is_file() else emptied(child).rmdir()
    return path


@pytest.mark.parametrize("name", ["classes.txt", "bounding_boxes.txt", "images.txt"])
@pytest.mark.parametrize("state", ["empty", "folder", "nonsense"])
def test_optional_files_of_cub_may_be_useless(name, state, prepare, tmp_path):
    root = disk_sources.cub(tmp_path / "src")
    path = root / "CUB_200_2011" / name
    path.unlink()
    if state == "folder":
        path.mkdir()
    else:
        write(path, b"" if state == "empty" else b"\x00\xff one two\n\xd8\n")
    assert prepare("cub", root).records == {"train": 3, "test": 2}


@pytest.mark.parametrize("text", [b"", b"[1]", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_optional_names_of_flowers_may_be_useless(text, prepare, tmp_path):
    root = disk_sources.flowers(tmp_path / "src")
    write(root / "cat_to_name.json", text)
    report = prepare("flowers", root)
    assert report.records == {"train": 4, "test": 2}
    assert bool(text) == ("not a JSON object" in found(report))


@pytest.mark.parametrize("make", [disk_sources.cub_reed, disk_sources.flowers])
def test_an_empty_second_list_is_none(make, prepare, tmp_path):
    root = make(tmp_path / "src")
    (path,) = root.rglob("testclasses.txt")
    name = "cub" if make is disk_sources.cub_reed else "flowers"
    for text in ("", "\n \n", "\ufeff"):
        write(path, text)
        assert list(prepare(name, root).records) == ["train"]


def test_pickles_that_are_empty_are_none(prepare, tmp_path):
    root = disk_sources.cub(tmp_path / "src")
    write(root / "train/class_info.pickle", b"")
    write(root / "test/filenames.pickle", pickle.dumps([]))
    report = prepare("cub", root)
    assert report.records == {"train": 3}
    assert found(report)["it lists no image"] == 1
    write(root / "train/filenames.pickle", b"")
    with pytest.raises(MissingSource, match=r"train/filenames.pickle \(an empty file\)"):
        prepare("cub", root)


def test_an_empty_folder_is_as_good_as_none(prepare, tmp_path):
    root = disk_sources.cub(tmp_path / "cub")
    (root / "text_c10").rename(root / "text")
    write(root / "text_c10/.DS_Store", b"x")  # passed over for the one that has captions
    assert prepare("cub", root).records == {"train": 3, "test": 2}
    emptied(root / "text")
    with pytest.raises(MissingSource, match=r"text_c10 \(an empty folder\)"):
        prepare("cub", root)

    root = disk_sources.flowers(tmp_path / "flowers")
    emptied(root / "jpg")
    with pytest.raises(MissingSource, match=r"jpg \(an empty folder\)"):
        prepare("flowers", root)

    root = disk_sources.coco(tmp_path / "coco")
    emptied(root / "val2014")
    report = prepare("coco", root)
    assert report.records == {"train": 2} and found(report) == {"no folder of pictures": 1}

    root = disk_sources.coco(tmp_path / "ln", "2017")
    write(root / "coco_train_captions.jsonl", narrative("9", 1))
    emptied(root / "train2017")
    emptied(root / "val2017")
    with pytest.raises(MissingSource, match="pictures of the narratives"):
        prepare("ln_coco", root)
    for source in (tmp_path / "nothing", write(tmp_path / "file", b"x"), tmp_path / "__MACOSX"):
        if source.name != "file":
            source.mkdir()
        with pytest.raises(MissingSource):
            prepare("folder", source)


def test_a_file_in_place_of_a_folder_and_the_reverse(prepare, tmp_path):
    root = disk_sources.coco(tmp_path / "coco")
    path = root / "annotations/captions_train2014.json"
    path.unlink()
    path.mkdir()
    assert prepare("coco", root).records == {"val": 1}
    emptied(root / "annotations").rmdir()
    write(root / "annotations", b"x")
    with pytest.raises(MissingSource, match="captions_train2014.json"):
        prepare("coco", root)
    root = disk_sources.flowers(tmp_path / "flowers")
    emptied(root / "text_c10").rmdir()
    write(root / "text_c10", b"x")
    with pytest.raises(MissingSource, match=r"text_c10 \(a file\)"):
        prepare("flowers", root)


@pytest.mark.parametrize("lists", ["reed", "pickles", "flowers", "flower pickles"])
def test_classes_in_both_splits_are_an_error(lists, prepare, tmp_path):
    if lists == "reed":
        root = disk_sources.cub_reed(tmp_path / "src")
        write(root / "cub_icml/testclasses.txt", "\n".join(sum(BIRD_SPLITS.values(), [])))
        shared = "share 2 classes, such as 2: Laysan Albatross, 3: Sooty Albatross"
    elif lists == "pickles":
        root = disk_sources.cub(tmp_path / "src")
        write(root / "test/filenames.pickle", pickle.dumps([SOOTY]))
        write(root / "test/class_info.pickle", pickle.dumps([3]))
        shared = "share 1 classes, such as 3: Sooty Albatross"
    else:
        root = disk_sources.flowers(tmp_path / "src")
        write(root / "cat_to_name.json", '{"3": "rose"}')
        write(root / "testclasses.txt", "class_00002\nclass_00003\n")
        shared = "share 1 classes, such as 3: rose"
    if lists == "flower pickles":
        for split, names, classes in (
            ("train", ["image_00001", "image_00003"], [1.0, 3]),
            ("test", ["image_00002", "image_00006"], ["2", np.int64(3)]),
        ):
            write(root / split / "filenames.pickle", pickle.dumps([f"jpg/{n}" for n in names]))
            write(root / split / "class_info.pickle", pickle.dumps(classes))
        for name in ("trainvalclasses.txt", "testclasses.txt"):
            (root / name).unlink()
    with pytest.raises(DataError, match=shared):
        prepare("flowers" if "flower" in lists else "cub", root)


@pytest.mark.parametrize("value", ["2", "-1", "train", "0.5", "1 1"])
def test_an_image_of_an_unknown_split_is_an_error(value, prepare, tmp_path):
    root = disk_sources.cub(tmp_path / "src")
    write(root / "CUB_200_2011/train_test_split.txt", f"1 1\n2 0\n3 {value}\n4 1\n5 0\n")
    with pytest.raises(DataError, match=f"train_test_split.txt: the image 3 .*{value!r}; 1 .train"):
        prepare("cub", root, split_kind="official")


def test_numbers_of_spreadsheets_are_read(prepare, tmp_path):
    root = disk_sources.cub(tmp_path / "src")
    before = prepare("cub", root, split_kind="official").records
    for path in (root / "CUB_200_2011").glob("*.txt"):
        rows = [line.split(" ") for line in path.read_text().splitlines()]
        write(path, "".join(f"{float(key)}\t{value}\n" for key, value, *_ in rows[::-1]))
    path = root / "CUB_200_2011/train_test_split.txt"
    write(path, path.read_text().replace("\t1", "\t1.0").replace("\t0", "\t0.0"))
    assert prepare("cub", root, split_kind="official").records == before


def test_lists_of_cub_that_contradict_themselves(prepare, tmp_path):
    root = disk_sources.cub(tmp_path / "src")
    folder = root / "CUB_200_2011"
    for name, line in (
        ("images.txt", f"1 {LAYSAN}.jpg\n9 {LAYSAN}.jpg\nonly\n8 ../../x.jpg\n7 odd/x.jpg\n"),
        ("bounding_boxes.txt", "1 1.0 2.0 20.5 99\n2 2.0 2.0 20.5 12.0\n"),
        ("train_test_split.txt", "1 0\n2 0\n9 0\n8 1\n7 1\n"),
    ):
        write(folder / name, (folder / name).read_text() + line)
    write(
        folder / "bounding_boxes.txt", (folder / "bounding_boxes.txt").read_text() + "9 a b c d\n"
    )
    report = prepare("cub", root, split_kind="official")
    assert report.records == {"train": 3, "test": 2}
    reasons = found(report)
    contradiction = "duplicate id with other values: the first counts"
    assert reasons[contradiction] == 3 + 1  # images.txt is read for boxes and for splits
    assert reasons["duplicate id"] == 2
    assert reasons["line without 2 columns"] == 2
    assert reasons["listed in both splits: the first counts"] == 1
    assert reasons["name points outside the data set"] == 1
    assert reasons["not in a folder that begins with its class number"] == 1
    assert reasons["not four numbers: left out"] == 1
    assert "images.txt:8" in report.examples["", "skipped", "list", "line without 2 columns"]


def test_bad_entries_of_cub_s_pickles_are_counted(prepare, tmp_path):
    root = disk_sources.cub(tmp_path / "src")
    names = [LAYSAN, None, b"x", 7, "", "/etc/passwd", "../x", "000.None/x", "\u00b2.x/y", SOOTY]
    names += [f"{SOOTY}.jpg", "2021_backup/x", "9" * 5000 + ".x/y"]
    write(root / "train/filenames.pickle", pickle.dumps(names))
    for classes in ([2, None, float("nan"), "x"], [2.0] * 9 + ["3"] + [3] * 3):
        write(root / "train/class_info.pickle", pickle.dumps(classes))
        report = prepare("cub", root)
        assert report.records == {"train": 2, "test": 2}
        reasons = found(report)
        assert reasons["not a file name"] == 4
        assert reasons["name points outside the data set"] == 2
        assert reasons["not in a folder that begins with its class number"] == 4
        assert reasons["duplicate id"] == 1
        assert (
            "train/filenames.pickle:3"
            in report.examples["train", "skipped", "record", "not a file name"]
        )


def test_lists_of_flowers_that_contradict_themselves(prepare, tmp_path):
    root = disk_sources.flowers(tmp_path / "src")
    savemat(root / "imagelabels.mat", {"labels": np.array([[1, 2, 3, 1, 2, np.nan, 103]])})
    sets = {"trnid": [[1.0, 2.0, 1.0]], "valid": [[3, 2]], "tstid": [[4, 5, 6, 7, 0, 8, np.nan]]}
    savemat(root / "setid.mat", {k: np.array(v) for k, v in sets.items()})
    report = prepare("flowers", root, split_kind="official")
    assert report.records == {"train": 2, "val": 1, "test": 2}
    assert found(report) == {
        "listed twice: the first split counts": 2,
        "number of no image in imagelabels.mat": 3,
        "no class from 1 to 102": 2,
    }
    assert (
        "setid.mat: tstid[5]"
        in report.examples["test", "skipped", "record", "number of no image in imagelabels.mat"]
    )
    savemat(root / "setid.mat", {"other": [1]})
    with pytest.raises(DataError, match="setid.mat: it has no array 'trnid'"):
        prepare("flowers", root, split_kind="official")
    # One photo with captions of a training and of a test class.
    write(root / "text_c10/class_00002/image_00001.txt", "a flower\n")
    report = prepare("flowers", root)
    assert report.records == {"train": 4, "test": 2}
    assert found(report) == {"listed in two splits: the first counts": 1}
    for line in ("class_00103", "class_x", "\u00b2", "class_" + "9" * 5000):
        write(root / "testclasses.txt", line)
        with pytest.raises(DataError, match="expected folder names such as class_00001"):
            prepare("flowers", root)


def test_rows_of_coco_mean_what_they_plainly_mean(prepare, tmp_path):
    root = disk_sources.coco(tmp_path / "src")
    path = root / "annotations/captions_train2014.json"
    data = json.loads(path.read_text())
    images = data["images"]
    images[0]["id"], images[1]["id"] = "9.0", 25.0
    for i, row in enumerate(data["annotations"]):
        row["image_id"] = (str, float, int)[i % 3](row["image_id"])
        row.pop("id") if i % 2 else row.update(id=str(row["id"]))
    good = len(data["annotations"])
    data["annotations"] += [
        *(None, 7, {}, {"image_id": 9}, {"image_id": 9, "caption": None}),
        *({"image_id": float("nan"), "caption": "x"}, {"image_id": True, "caption": "x"}),
        {"image_id": 10**399, "caption": "x"},
        {"image_id": 9, "caption": "half \ud83d"},
    ]
    images += [None, {"id": 1}, {"id": None, "file_name": "x.jpg"}, {"id": 2, "file_name": ""}]
    images += [{"id": 3, "file_name": "../x\0.jpg"}, {"id": 9, "file_name": "other.jpg"}]
    write(path, json.dumps(data))
    report = prepare("coco", root)
    assert report.records == {"train": 2, "val": 1}
    assert report.captions["train"] == good + 1
    reasons = found(report)
    assert reasons["no proper field 'image_id'"] == 5 and reasons["no proper field 'caption'"] == 2
    assert reasons["no proper field 'id'"] == 2 and reasons["no proper field 'file_name'"] == 2
    assert reasons["of an image that is not listed"] == 1
    assert reasons["duplicate id with other values: the first counts"] == 1
    where = report.examples["", "skipped", "caption", "no proper field 'image_id'"]
    assert where[0] == f"captions_train2014.json: annotations[{good}]"


def test_rows_of_narratives_mean_what_they_plainly_mean(prepare, tmp_path):
    root = disk_sources.coco(tmp_path / "src", "2017")
    full = {"timed_caption": [], "traces": []}
    lines = [
        narrative("9", 1, "one", **full),
        narrative(9, "2", "two", **full),
        narrative("9.0", 3.0, "three", **full),
        narrative("000000000009", "4.0", "four", timed_caption=None, traces=float("nan")),
        narrative("9", None, "five", **full),
        narrative("9", 6, None, **full),
        narrative(True, 7, "seven", **full),
        narrative("9" * 400, 8, "eight", **full),
        narrative("9", 9, "nine", timed_caption=[], traces=[[{"x": 10**399, "y": 0, "t": 0}]]),
        narrative("9", 10, "ten", timed_caption="x", traces=7),
        narrative(
            "9",
            11,
            "eleven \ud83d",
            timed_caption=[{"utterance": "\ud83d", "start_time": 0, "end_time": "1"}],
            traces=[],
        ),
        "[" * 100_000 + "\n",
        '{"image_id": "9", "annotator_id": ' + "1" * 5000 + "}\n",
        "null",
    ]
    write(root / "coco_train_localized_narratives.jsonl", "".join(lines))
    report = prepare("ln_coco", root, traces=True)
    assert report.records == {"train": 5}
    reasons = found(report)
    assert reasons["not valid JSON"] == 2 and reasons["not a JSON object"] == 1
    assert reasons["no proper field 'annotator_id'"] == 1
    assert reasons["no proper field 'caption'"] == 1 and reasons["no proper field 'image_id'"] == 1
    assert reasons["malformed image_id"] == 1 and reasons["malformed traces or times"] == 2
    assert reasons["broken character (U+FFFD)"] == 1
    opened = catalog.open_split("ln_coco", str(tmp_path / "data"), "train")
    assert [opened[i]["image/id"] for i in range(5)] == ["9_1", "9_2", "9_3", "9_4", "9_11"]
    assert opened[4]["utterances"] == ["\ufffd"]
