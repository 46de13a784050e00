"""CUB-200-2011 and Oxford-102 from every layout that users have."""

import pickle

import numpy as np
import pytest
from scipy.io import savemat

from t2i_jax.data import catalog, pickles
from t2i_jax.data.layouts import cub as cub_layout
from t2i_jax.data.layouts.files import MissingSource
from t2i_jax.data.report import DataError

from . import disk_sources
from .disk_sources import jpeg, write


@pytest.fixture
def prepare(tmp_path):
    """prepare(name, **options) of tmp_path/src -> (report, {split: all its records})."""

    def run(name, **options):
        report = catalog.prepare(
            name, str(tmp_path / "src"), str(tmp_path / "data"), overwrite=True, **options
        )
        key = f"{name}/{report.config}"
        opened = {s: catalog.open_split(key, str(tmp_path / "data"), s) for s in report.records}
        return report, {s: [v[i] for i in range(len(v))] for s, v in opened.items()}

    return run


def found(report):
    return {key: count for key, count in report.counts.items()}


def ids(records):
    return [r["image/id"].rsplit("/", 1)[-1] for r in records]


@pytest.mark.parametrize("make", [disk_sources.cub, disk_sources.cub_reed])
def test_cub_class_disjoint(prepare, tmp_path, make):
    make(tmp_path / "src")
    report, splits = prepare("cub")
    assert report.records == {"train": 3, "test": 2} and not report.counts
    assert ids(splits["train"]) == [
        "Laysan_Albatross_0001_3",
        "Laysan_Albatross_0002_4",
        "Sooty_Albatross_0001_5",
    ]
    assert [r["label"] for r in splits["train"]] == [1, 1, 2]
    assert [r["label"] for r in splits["test"]] == [0, 0]
    first = splits["train"][0]
    assert first["image"] == jpeg(seed=3)
    assert first["image/filename"] == "002.Laysan_Albatross/Laysan_Albatross_0001_3.jpg"
    assert first["captions"][9] == "caption 9 of 002.laysan_albatross/laysan_albatross_0001_3 ."
    np.testing.assert_array_equal(first["bbox"], np.float32([3, 2, 20.5, 13]))
    assert any("complete set has 8,855" in w for w in report.warnings)
    names = catalog.open_split("cub", str(tmp_path / "data"), "train").label_names
    assert names == ["Black footed Albatross", "Laysan Albatross", "Sooty Albatross"]


def test_cub_official_split_and_resized(prepare, tmp_path):
    disk_sources.cub(tmp_path / "src")
    report, splits = prepare("cub", split_kind="official", max_side=18)
    assert report.config == "official_side18"
    assert report.records == {"train": 3, "test": 2}
    # The crop around the first box (20.5 x 11 at (1, 2)) is 26 x 22 pixels: 18 / 22 of 48 x 36.
    np.testing.assert_allclose(splits["train"][0]["bbox"], [1, 2, 20.5, 11] * np.array(40 / 48))


def test_cub_without_its_optional_files(prepare, tmp_path):
    source = disk_sources.cub(tmp_path / "src")
    for name in ("classes.txt", "bounding_boxes.txt"):
        (source / "CUB_200_2011" / name).unlink()
    (source / "text_c10").rename(source / "text")
    report, splits = prepare("cub")
    assert any("no boxes" in note for note in report.notes)
    assert not splits["train"][0]["bbox"].any()
    assert splits["train"][2]["label"] == 2


def test_cub_bad_input_is_counted(prepare, tmp_path):
    source = disk_sources.cub(tmp_path / "src")
    laysan = "002.Laysan_Albatross/Laysan_Albatross_000"
    sooty = "003.Sooty_Albatross/Sooty_Albatross_0001_5"
    images = source / "CUB_200_2011"
    write(images / f"images/{laysan}1_3.jpg", jpeg(200, 150)[:-300])
    write(source / f"text_c10/{laysan}2_4.txt", "one\ufffd\ufffds\r\n{}\r\n\r\nfour\r\n")
    names = [f"{laysan}1_3", f"{laysan}2_4", sooty, sooty, f"{laysan}9_9"]
    write(source / "train/filenames.pickle", pickle.dumps(names, 0).replace(b"\n", b"\r\n"))
    write(source / "train/class_info.pickle", pickle.dumps([np.int64(2), 2, 3, 3, 1], 2))
    boxes = (images / "bounding_boxes.txt").read_text().replace("5 5.0 2.0 20.5", "5 40.0 2.0 20.5")
    write(images / "bounding_boxes.txt", boxes.replace("\n", "\r\n"))
    report, splits = prepare("cub")
    assert ids(splits["train"]) == ["Laysan_Albatross_0002_4", "Sooty_Albatross_0001_5"]
    assert splits["train"][0]["captions"] == ["one s", "four"]
    np.testing.assert_allclose(splits["train"][1]["bbox"], [40, 2, 8, 15])
    folder = "class_info differs from the folder: the folder counts"
    assert found(report) == {
        ("", "repaired", "list", "Windows line ends"): 1,
        ("", "repaired", "list", folder): 1,
        ("", "skipped", "image", "duplicate id"): 1,
        ("train", "skipped", "record", "cut short or damaged"): 1,
        ("train", "skipped", "record", "image file missing"): 1,
        ("train", "repaired", "list", "Windows line ends"): 1,
        ("train", "repaired", "caption", "broken character (U+FFFD)"): 1,
        ("train", "skipped", "caption", "placeholder {}"): 1,
        ("train", "skipped", "caption", "empty"): 1,
        ("train", "repaired", "box", "partly outside the image: cut"): 1,
    }
    assert report.examples["train", "skipped", "caption", "placeholder {}"] == [
        "002.Laysan_Albatross/Laysan_Albatross_0002_4.txt:2"
    ]
    with pytest.raises(DataError, match="strict"):
        prepare("cub", strict=True)


def test_cub_embeddings_of_the_stackgan_pickle(prepare, tmp_path):
    source = disk_sources.cub(tmp_path / "src")
    vectors = np.random.default_rng(0).normal(size=(5, 10, 6)).astype(np.float32)
    name = "char-CNN-RNN-embeddings.pickle"
    write(source / "train" / name, pickle.dumps(list(vectors[:3]), 2))  # a list of arrays
    write(source / "test" / name, pickle.dumps(vectors[3:], 2))  # one array
    path = source / "text_c10/003.Sooty_Albatross/Sooty_Albatross_0001_5.txt"
    lines = path.read_text().split("\n")
    write(path, "\n".join([*lines[:4], "{}", *lines[5:]]))
    report, splits = prepare("cub", embeddings=True)
    assert report.config == "disjoint_embeddings"
    for records, expected in ((splits["train"], vectors[:3]), (splits["test"], vectors[3:])):
        for i, record in enumerate(records):
            keep = [j for j in range(10) if j != 4] if i == 2 else list(range(10))
            np.testing.assert_array_equal(record["embeddings"], expected[i][keep], strict=True)
            assert len(record["captions"]) == len(keep)


def test_cub_embeddings_of_reeds_files(prepare, tmp_path, golden_dir):
    source = disk_sources.cub_reed(tmp_path / "src")
    record = (golden_dir / "t7_samples" / "image_record.t7").read_bytes()
    for folder, stems in disk_sources.BIRDS.items():
        for stem in stems:
            write(source / f"cub_icml/{folder}/{stem}.t7", record)
    with np.load(golden_dir / "t7_samples" / "expected.npz") as expected:
        reference = expected["image_record/txt"]
    report, splits = prepare("cub", embeddings=True)
    assert report.records == {"train": 3, "test": 2}
    for record in splits["train"] + splits["test"]:
        np.testing.assert_array_equal(record["embeddings"], reference)


def test_missing_pieces_are_named_with_where_to_get_them(prepare, tmp_path):
    source = disk_sources.cub(tmp_path / "src")
    with pytest.raises(MissingSource, match="(?s)test/char-CNN.*StackGAN|train/char-CNN.*StackGAN"):
        prepare("cub", embeddings=True)
    for path, message in (
        ("train/filenames.pickle", "class-disjoint split(.|\n)*trainvalclasses.txt"),
        ("text_c10", "captions(.|\n)*src/text\n(.|\n)*AttnGAN"),
        ("CUB_200_2011", "bird photos(.|\n)*vision.caltech"),
    ):
        (source / path).rename(source / "elsewhere")
        with pytest.raises(MissingSource, match=message):
            prepare("cub")
        (source / "elsewhere").rename(source / path)


def test_all_records_skipped_is_an_error_with_the_reasons(prepare, tmp_path):
    source = disk_sources.cub(tmp_path / "src")
    for path in (source / "CUB_200_2011/images").glob("00[23]*/*.jpg"):
        path.unlink()
    with pytest.raises(
        DataError, match="no record of split 'train'.*\n.*3 x record skipped: image"
    ):
        prepare("cub")


@pytest.mark.parametrize("lists", ["reed", "pickles"])
def test_flowers_class_disjoint(prepare, tmp_path, lists):
    source = disk_sources.flowers(tmp_path / "src")
    if lists == "pickles":
        for split, numbers, classes in (
            ("train", (4, 1, 6, 3), (1, 1, 3, 3)),
            ("test", (2, 5), (2, 2)),
        ):
            names = [f"jpg/image_{i:05d}" for i in numbers]
            write(source / f"{split}/filenames.pickle", pickle.dumps(names, 0))
            write(source / f"{split}/class_info.pickle", pickle.dumps(list(classes), 0))
        for name in ("trainvalclasses.txt", "testclasses.txt"):
            (source / name).unlink()
    report, splits = prepare("flowers")
    assert report.records == {"train": 4, "test": 2} and not report.counts
    order = {"reed": [1, 4, 3, 6], "pickles": [4, 1, 6, 3]}[lists]
    assert ids(splits["train"]) == [f"image_{i:05d}" for i in order]
    assert [r["label"] for r in splits["train"]] == [0, 0, 2, 2]
    assert [r["label"] for r in splits["test"]] == [1, 1]
    assert splits["test"][0]["image"] == jpeg(seed=2)
    assert splits["test"][0]["captions"][0] == "caption 0 of image_00002 ."


def test_flowers_official_split_skips_absent_images(prepare, tmp_path):
    source = disk_sources.flowers(tmp_path / "src")
    write(source / "cat_to_name.json", '{"1": "rose", "2": "tulip"}')
    savemat(source / "imagelabels.mat", {"labels": np.array([[1, 2, 3, 1, 2, 3, 1]])})
    sets = {"trnid": [[2, 1]], "valid": [[3]], "tstid": [[4, 5, 6, 7]]}
    savemat(source / "setid.mat", {k: np.array(v, np.uint16) for k, v in sets.items()})
    report, splits = prepare("flowers", split_kind="official")
    assert report.records == {"train": 2, "val": 1, "test": 3}
    assert [r["label"] for r in splits["train"]] == [1, 0]
    assert found(report) == {("test", "skipped", "record", "image file missing"): 1}
    names = catalog.open_split("flowers", str(tmp_path / "data"), "train").label_names
    assert names[:3] == ["rose", "tulip", "class 3"] and len(names) == 102


def test_refused_pickle_stops_the_preparation(prepare, tmp_path):
    source = disk_sources.cub(tmp_path / "src")
    write(source / "train/filenames.pickle", b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(pickles.PickleRefused, match="os.system"):
        prepare("cub")
    write(source / "train/filenames.pickle", pickle.dumps({"a": 1}))
    with pytest.raises(DataError, match="expected a list of file names, found dict"):
        prepare("cub")
    write(source / "train/filenames.pickle", pickle.dumps(["../../etc/passwd"]))
    with pytest.raises(DataError, match="points outside"):
        prepare("cub")


def test_real_birds(shared_data, tmp_path):
    for kind, counts in (
        ("disjoint", {"train": 207, "test": 201}),
        ("official", {"train": 223, "test": 185}),
    ):
        report = catalog.prepare(
            "cub", str(shared_data / "cub"), str(tmp_path), split_kind=kind, max_side=152
        )
        assert report.records == counts and sum(report.captions.values()) == 4080
    train, test = (catalog.open_split("cub/disjoint_side152", str(tmp_path), s) for s in counts)
    assert set(train.labels.tolist()) == {1, 2, 4, 6, 9}
    assert set(test.labels.tolist()) == {0, 3, 5, 7, 8}
    grayscale = ("test", "kept", "image", "grayscale: every reader makes it RGB")
    assert report.counts[grayscale] == 1


def test_real_class_lists_of_birds(shared_data, tmp_path):
    whole = shared_data / "cub" / "full_metadata"
    (tmp_path / "CUB_200_2011").mkdir()
    for path in whole.glob("CUB_200_2011/*.txt"):
        (tmp_path / "CUB_200_2011" / path.name).symlink_to(path)
    (tmp_path / "CUB_200_2011/images").symlink_to(shared_data / "cub/CUB_200_2011/images")
    (tmp_path / "text_c10").symlink_to(shared_data / "cub/text_c10")
    for split in ("train", "test"):
        (tmp_path / split).symlink_to(whole / split)
    for kind, train, test in (("disjoint", 8855, 2933), ("official", 5994, 5794)):
        layout = cub_layout.read(tmp_path, kind)
        assert (layout.splits["train"].total, layout.splits["test"].total) == (train, test)
        assert not layout.problems and len(layout.label_names) == 200
        labels = [{raw.label for raw in layout.splits[s].items} for s in ("train", "test")]
        assert [len(x) for x in labels] == ([150, 50] if kind == "disjoint" else [200, 200])
        assert all(raw.box for split in layout.splits.values() for raw in split.items)


def test_real_flowers(shared_data, tmp_path):
    source = str(shared_data / "flowers")
    report = catalog.prepare("flowers", source, str(tmp_path))
    assert report.records == {"train": 492, "test": 120}
    assert sum(report.captions.values()) == 6120 - 1
    assert report.counts["train", "skipped", "caption", "placeholder {}"] == 1
    report = catalog.prepare("flowers", source, str(tmp_path), split_kind="official", max_side=76)
    assert report.records == {"train": 89, "val": 92, "test": 431}
    absent = sum(n for key, n in report.counts.items() if key[3] == "image file missing")
    assert absent == 8189 - 612
