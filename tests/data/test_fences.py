"""The command line against sources that hold surprises: one bad record is a counted problem, any
other failure one line, and neither ends in a traceback.
"""

import json
import os

import numpy as np
import pytest

from t2i_jax.commands import prepare
from t2i_jax.data import catalog

from . import disk_sources
from .disk_sources import jpeg, write

NAN = float("nan")
HUGE = "1" + "0" * 399
GOOD = {"image": "good.jpg", "caption": "a good picture"}


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """run(dataset, source, *flags) -> (exit status, standard error); no traceback ever."""
    monkeypatch.delenv("T2I_JAX_TRACEBACK", raising=False)
    monkeypatch.setenv("COLUMNS", "250")

    def main(dataset, source, *flags):
        arguments = [f"--dataset={dataset}", f"--source={source}", *flags, "--overwrite"]
        status = prepare.main([*arguments, f"--data_dir={tmp_path / 'data'}"])
        return status, capsys.readouterr().err

    return main


@pytest.fixture
def source(tmp_path):
    """A folder with one good picture."""
    write(tmp_path / "src/good.jpg", jpeg())
    return tmp_path / "src"


def records(tmp_path, name="folder", split="train"):
    opened = catalog.open_split(name, str(tmp_path / "data"), split)
    return [opened[i] for i in range(len(opened))], opened.label_names


def listed(source, *rows):
    """Writes the folder's list: rows that are objects or already text."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    write(source / "captions.jsonl", "\n".join(lines) + "\n")


BAD_LINES = {
    "half an emoji": ('{"image": "good.jpg", "caption": "\\ud83d"}', "broken character"),
    "deeply nested": ('{"image": ' + "[" * 100_000, "not valid JSON"),
    "too many digits": ('{"image": "good.jpg", "class": ' + "1" * 5000 + "}", "not valid JSON"),
    "a list": ("[1]", "not a JSON object"),
    "nothing": ("null", "not a JSON object"),
    "a cut line": ('{"image": "go', "not valid JSON"),
    "a name of nothing": ({"image": None, "caption": "x"}, "is not a file name"),
    "a folder": ({"image": "folder", "caption": "x"}, "image file is a folder"),
    "a loop": ({"image": "loop.jpg", "caption": "x"}, "Too many levels of symbolic links"),
    "a name too long": ({"image": "x" * 300, "caption": "x"}, "File name too long"),
    "a zero character": ({"image": "a\0b", "caption": "x"}, "image file missing"),
    "half a name": ('{"image": "\\ud83d.jpg", "caption": "x"}', "image file missing"),
    "outside": ({"image": "a/../../b.jpg", "caption": "x"}, "points outside the folder"),
    "captions that are numbers": ({"image": "good.jpg", "caption": 7}, "is not text"),
    "a class that is true": ({"image": "good.jpg", "class": True}, "neither a name nor a number"),
    "a class without end": ('{"image": "good.jpg", "class": 1e999}', "neither a name nor a number"),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_is_counted_with_file_and_line(kind, run, source):
    (source / "folder").mkdir()
    (source / "loop.jpg").symlink_to("loop.jpg")
    write(source / "other.jpg", jpeg(seed=1))
    line, reason = BAD_LINES[kind]
    listed(source, GOOD | {"image": "other.jpg"}, line)
    status, err = run("folder", source)
    assert status == 0 and reason in err and "captions.jsonl:2" in err
    listed(source, line)
    status, err = run("folder", source)  # now every record is bad
    table, error = err.split("error: ")
    assert status == 1 and reason in table and "captions.jsonl:1" in table
    assert "no record" in error


def test_every_record_bad_shows_the_table_of_every_set(run, tmp_path):
    broken = b"<html>gone</html>"
    for name, make in (
        ("cub", disk_sources.cub),
        ("cub", disk_sources.cub_reed),
        ("flowers", disk_sources.flowers),
        ("coco", disk_sources.coco),
        ("coco", disk_sources.attn_gan_coco),
    ):
        root = make(tmp_path / make.__name__)
        for path in root.rglob("*.jpg"):
            path.write_bytes(broken)
        status, err = run(name, root)
        table, error = err.split("error: ")
        assert status == 1 and "a web page, not an image" in table and "usable" in error, name


def test_what_no_table_can_hold_is_written_out(run, source):
    names = ["[/red].jpg", "[bold].jpg", "a\nb.jpg", "esc\x1b[31m.jpg"]
    listed(source, GOOD, *({"image": n, "caption": "x"} for n in names))
    status, err = run("folder", source)
    assert status == 0 and "[/red].jpg" in err and "\x1b[31m" not in err
    (problem,) = json.loads(next(source.parent.rglob("prepare_report.json")).read_text())[
        "problems"
    ]
    assert problem["count"] == 4


@pytest.mark.parametrize(
    "name",
    [b"caf\xe9.jpg", b"\xff\xfe.jpg", b"\xe9/b.jpg"],
)
def test_file_names_that_are_not_utf8_are_kept(name, run, source, tmp_path):
    path = os.path.join(os.fsencode(source), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(jpeg(seed=3))
    status, err = run("folder", source, "--no_captions")
    assert status == 0
    found, _ = records(tmp_path)
    shown = name.decode("utf-8", "backslashreplace")
    assert sorted(r["image/id"] for r in found) == sorted(["good.jpg", shown])
    # A list names such a file as Python does.
    listed(source, GOOD, {"image": os.fsdecode(name), "caption": "x"})
    assert run("folder", source)[0] == 0
    found, _ = records(tmp_path, "folder/src")
    assert [r["image/filename"] for r in found] == ["good.jpg", shown]


@pytest.mark.parametrize(
    "name",
    [
        *("a:b.jpg", "C:x.jpg", "~/x.jpg", "~.jpg", "back\\slash.jpg", "..a.jpg", "a..b/c.jpg"),
        *(
            " blank .jpg",
            "new\nline.jpg",
            "-rf.jpg",
            "%s{}.jpg",
            "红.jpg",
            ".hidden.jpg",
            "CON.jpg",
        ),
        *("a.jpg.png", "noextension", "'quote\".jpg", "#1?.jpg"),
    ],
)
def test_names_that_a_file_system_allows_are_allowed(name, run, source, tmp_path):
    write(source / name, jpeg(seed=2))
    listed(source, {"image": name, "caption": "x"})
    assert run("folder", source)[0] == 0
    assert [r["image/id"] for r in records(tmp_path)[0]] == [name]


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("deep\\a.jpg", "deep/a.jpg"),
        ("./deep//a.jpg", "deep/a.jpg"),
        ("deep/../a.jpg", "a.jpg"),
        ("caf\u00e9.jpg", "cafe\u0301.jpg"),  # macOS takes letters and accents apart
        ("cafe\u0301.jpg", "caf\u00e9.jpg"),
    ],
)
def test_one_file_may_be_spelt_in_several_ways(written, there, run, source, tmp_path):
    write(source / there, jpeg(seed=2))
    listed(source, {"image": written, "caption": "x"}, {"image": there, "caption": "y"})
    assert run("folder", source)[0] == 0
    assert [r["captions"] for r in records(tmp_path)[0]] == [["x", "y"]]


def test_a_list_may_name_the_folder_itself(run, source, tmp_path):
    listed(source, GOOD | {"image": f"{source}/good.jpg"}, GOOD | {"image": f"{tmp_path}/good.jpg"})
    status, err = run("folder", source)
    assert status == 0 and "points outside the folder" in err and "captions.jsonl:2" in err
    assert [r["image/id"] for r in records(tmp_path)[0]] == ["good.jpg"]


def test_hidden_files_and_folders_are_no_data(run, source, tmp_path):
    for name in ("._good.jpg", "__MACOSX/good.jpg", ".ipynb_checkpoints/good.jpg", ".a/.b/c.png"):
        write(source / name, jpeg())
    for name in (".DS_Store", "Thumbs.db", "a.jpg/Thumbs.db"):
        write(source / name, b"x")
    assert run("folder", source, "--no_captions")[0] == 0
    assert [r["image/id"] for r in records(tmp_path)[0]] == ["good.jpg"]

    root = disk_sources.cub_reed(tmp_path / "cub")
    before = run("cub", root)
    for folder in disk_sources.BIRDS:
        write(root / f"CUB_200_2011/images/{folder}/._x.jpg", b"x")
        write(root / f"CUB_200_2011/images/{folder}/.ipynb_checkpoints/x.jpg", b"x")
        (root / f"CUB_200_2011/images/{folder}/folder.jpg").mkdir()
    write(root / "CUB_200_2011/images/.DS_Store", b"x")
    status, err = run("cub", root)
    assert status == 0 and "skipped" not in err and len(err) == len(before[1])
    root = disk_sources.flowers(tmp_path / "flowers")
    write(root / "text_c10/class_00001/._image_00001.txt", b"x")
    write(root / "text_c10/class_00001/.DS_Store", b"x")
    status, err = run("flowers", root)
    assert status == 0 and "skipped" not in err


def test_links_are_followed_once(run, source, tmp_path):
    write(tmp_path / "elsewhere/a.jpg", jpeg(seed=4))
    (source / "linked").symlink_to(tmp_path / "elsewhere")
    (source / "self").symlink_to(source)
    (source / "nowhere.jpg").symlink_to("nothing")
    status, err = run("folder", source, "--no_captions")
    assert status == 0 and "image file missing" in err
    assert [r["image/id"] for r in records(tmp_path)[0]] == ["good.jpg", "linked/a.jpg"]


@pytest.mark.parametrize(
    ("values", "labels", "names"),
    [
        ((1, "1", 2, "2"), [0, 0, 1, 1], ["1", "2"]),
        ((0.0, 1.0, None, NAN), [0, 1, -1, -1], ["0", "1"]),
        (("1.0", 1, " 1 ", ""), [0, 0, 0, -1], ["1"]),
        (("car", "car ", "a  car", "\ud83dcar"), [1, 1, 0, 2], ["a car", "car", "\ufffdcar"]),
        (("007", 7, "7", "07"), [1, 0, 0, 2], ["7", "007", "07"]),
        ((10**399, "1" * 400, 1.5e9, -1), [2, 3, 1, 0], ["-1", "1500000000", HUGE, "1" * 400]),
    ],
)
def test_classes_mean_what_they_plainly_mean(values, labels, names, run, source, tmp_path):
    for i in range(4):
        write(source / f"{i}.jpg", jpeg(seed=i))
    rows = [{"image": f"{i}.jpg", "caption": "x", "class": v} for i, v in enumerate(values)]
    listed(source, *rows)
    status, err = run("folder", source)
    assert status == 0 and "skipped" not in err
    found, label_names = records(tmp_path)
    assert [r["label"] for r in found] == labels and label_names == names


@pytest.mark.parametrize(
    ("box", "stored"),
    [
        (["1", "2.0", 10, 20.0], [1, 2, 10, 20]),
        ("[1, 2, 10, 20]", [1, 2, 10, 20]),
        ("1 2 10 20", [1, 2, 10, 20]),
        (None, [0] * 4),
        (NAN, [0] * 4),
        ([NAN] * 4, [0] * 4),
        ([None] * 4, [0] * 4),
        ([], [0] * 4),
    ],
)
def test_boxes_mean_what_they_plainly_mean(box, stored, run, source, tmp_path):
    listed(source, GOOD | {"box": box})
    status, err = run("folder", source)
    assert status == 0 and "box" not in err.replace("bbox", "")
    np.testing.assert_array_equal(records(tmp_path)[0][0]["bbox"], stored)


@pytest.mark.parametrize(
    "box", [[1, 2, 3], [1, 2, 3, 10**399], "here", {"x": 1}, [1, 2, 3, None], 5, [1, 2, 3, True]]
)
def test_boxes_that_mean_nothing_are_left_out(box, run, source, tmp_path):
    listed(source, GOOD | {"box": box})
    status, err = run("folder", source)
    assert status == 0 and "not four numbers: left out" in err and "captions.jsonl:1" in err


@pytest.mark.parametrize(
    ("value", "split"),
    [
        (None, "train"),
        (NAN, "train"),
        ("", "train"),
        ("Test", "test"),
        (" val ", "val"),
        ("fold2", "fold2"),
        ("rest", "rest"),
    ],
)
def test_splits_mean_what_they_plainly_mean(value, split, run, source, tmp_path):
    listed(source, GOOD | {"split": value})
    assert run("folder", source)[0] == 0
    assert len(records(tmp_path, split=split)[0]) == 1


@pytest.mark.parametrize("value", ["trian", "tests", "my split", 1, ["train"], "x" * 300, "../x"])
def test_unknown_splits_are_an_error(value, run, source):
    listed(source, GOOD | {"split": value})
    status, err = run("folder", source)
    assert status == 1 and "error: captions.jsonl:1: " in err and "split" in err


def test_contradicting_lines_of_one_image_are_told(run, source, tmp_path):
    first = GOOD | {"class": 1, "box": [1, 2, 10, 20]}
    listed(
        source,
        GOOD,
        first,
        first | {"class": "1.0"},
        first | {"class": 2},
        first | {"box": [1, 2, 3, 4]},
    )
    status, err = run("folder", source)
    assert status == 0 and err.count("the first counts") == 2
    assert "captions.jsonl:4" in err and "captions.jsonl:5" in err
    found, names = records(tmp_path)
    assert names == ["1"] and found[0]["label"] == 0  # of the second line: the first had none
    np.testing.assert_array_equal(found[0]["bbox"], [1, 2, 10, 20])
