"""A preparation that is stopped, or that fails as a whole: one line, and the old set usable."""

import errno
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from t2i_jax.commands import prepare
from t2i_jax.data import catalog, content
from t2i_jax.data.builders import base
from t2i_jax.data.decode import decode_rgb
from t2i_jax.data.layouts.own import recognise
from t2i_jax.data.records import Layout, Raw, Split

from . import disk_sources
from .disk_sources import jpeg, jsonl, write


@pytest.fixture
def source(tmp_path):
    """A folder with three pictures and their list."""
    names = [f"{i}.jpg" for i in range(3)]
    for i, name in enumerate(names):
        write(tmp_path / "src" / name, jpeg(seed=i))
    rows = [{"image": name, "caption": "an old caption"} for name in names]
    write(tmp_path / "src/captions.jsonl", jsonl(*rows))
    return tmp_path / "src"


@pytest.fixture
def run(tmp_path, source, capsys, monkeypatch):
    """run(*flags) -> (exit status, standard output, standard error)."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("T2I_JAX_TRACEBACK", raising=False)

    def main(*flags, data=tmp_path / "data"):
        arguments = ["--dataset=folder", f"--source={source}", *flags, f"--data_dir={data}"]
        status = prepare.main(arguments)
        return status, *capsys.readouterr()

    return main


def captions(tmp_path):
    opened = catalog.open_split("folder", str(tmp_path / "data"), "train")
    return {opened[i]["captions"][0] for i in range(len(opened))}


def new_captions(source):
    path = source / "captions.jsonl"
    path.write_text(path.read_text().replace("old", "new"))


def raising(error):
    def fail(*args, **kwargs):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1),
        (MemoryError("no memory"), 1),
        (RuntimeError("what a library raises"), 1),
    ],
)
def test_an_overwriting_that_stops_leaves_the_old_set(
    error, status, run, source, tmp_path, monkeypatch
):
    assert run()[0] == 0
    new_captions(source)

    def stop(self, *args):
        assert captions(tmp_path) == {"an old caption"}  # usable all the while
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(tfds.core.SequentialWriter, "add_examples", stop)
        code, out, err = run("--overwrite")
    line = err.strip().split("\n")[-1]
    assert code == status and out == "" and line.startswith(("error: ", "interrupted; "))
    assert captions(tmp_path) == {"an old caption"}
    left = [p.name for p in (tmp_path / "data/t2i_folder/src").iterdir()]
    assert sorted(left) == ["1.0.0", "owner.json"]
    assert run("--overwrite")[0] == 0 and captions(tmp_path) == {"an new caption"}


def test_a_set_that_cannot_be_read_takes_no_others_place(run, tmp_path, monkeypatch):
    """Neither on the first preparation nor over an old set."""
    for kept in (False, True):
        if kept:
            assert run()[0] == 0
        with monkeypatch.context() as patch:
            patch.setattr(content, "table", raising(RecursionError("deep")))
            for _ in range(2):
                status, out, err = run("--overwrite")
                assert status == 1 and out == "" and "deep" in err
        if kept:
            assert captions(tmp_path) == {"an old caption"}
        left = [p.name for p in (tmp_path / "data/t2i_folder/src").iterdir()]
        assert sorted(left) == (["1.0.0"] if kept else []) + ["owner.json"]


def test_the_split_all_and_pictures_elsewhere_are_refused(run, source, tmp_path):
    status, _, err = run(f"--images={tmp_path}")
    assert status == 1 and "folder has its pictures in the source: leave --images out" in err
    write(source / "captions.jsonl", jsonl({"image": "0.jpg", "caption": "a", "split": "All"}))
    for _ in range(2):
        status, _, err = run()
        assert status == 1 and "captions.jsonl:1: the split 'All' means all splits" in err
    for split, meant in (("training", "train"), ("Validation", "val"), ("dev", "val")):
        write(source / "captions.jsonl", jsonl({"image": "0.jpg", "caption": "a", "split": split}))
        status, _, err = run()
        assert status == 1 and f"unknown split {split!r}; did you mean {meant!r}?" in err


def test_a_kill_between_two_renamings_loses_nothing(run, source, tmp_path):
    assert run()[0] == 0
    config = tmp_path / "data/t2i_folder/src"
    (config / "1.0.0").rename(config / "1.0.0.replaced")
    (config / "incomplete.123/t2i_folder").mkdir(parents=True)
    write(source / "captions.jsonl", "no json\n")
    status, _, err = run()
    assert status == 1 and "line is not valid JSON" in err
    assert captions(tmp_path) == {"an old caption"}


def test_what_fails_as_a_whole_is_one_line(run, tmp_path, monkeypatch, source):
    file = write(tmp_path / "file", b"x")
    status, out, err = run(data=file)
    assert status == 1 and err.startswith("error: ") and err.count("\n") == 1
    status, out, err = run(f"--preview={tmp_path}")
    assert status == 1 and err.strip().split("\n")[-1].startswith("error: ")
    for error in (PermissionError(13, "Permission denied", "list"), RecursionError("deep")):
        monkeypatch.setattr(recognise, "read", raising(error))
        status, out, err = run("--overwrite")
        assert status == 1 and err.startswith("error: ") and err.count("\n") == 1
    with pytest.raises(RecursionError):
        monkeypatch.setenv("T2I_JAX_TRACEBACK", "1")
        run("--overwrite")


class FencedBirds(base.Builder):
    """A user's builder with records that cannot be stored."""

    BAD = (
        {"label": 10**30},
        {"label": "red"},
        {"captions": [7]},
        {"captions": None},
        {"image": pathlib.Path("/")},
        {"image": "a.jpg"},
        {"box": (1, 2, 3)},
        {"box": ("a", 2, 3, 4)},
        {"extra": {"depth": np.zeros((3, 3))}},
        {"extra": {"unknown": 1}},
    )

    def extra_features(self):
        return {"depth": tfds.features.Tensor(shape=(2,), dtype=np.float32)}

    def layout(self, job):
        good = {"image": jpeg(), "captions": ["a bird"], "extra": {"depth": np.zeros(2, "f")}}
        raws = [Raw(id="good", filename="good.jpg", **good)] + [
            Raw(id=str(i), filename=f"{i}.jpg", where=f"list:{i}", **(good | bad))
            for i, bad in enumerate(self.BAD)
        ]
        return Layout({"train": Split(raws, len(raws))})


def test_a_builder_of_one_s_own_is_fenced_too(tmp_path):
    report = catalog.prepare(f"{__name__}:FencedBirds", None, str(tmp_path))
    assert report.records == {"train": 1}
    assert sum(report.counts.values()) == len(FencedBirds.BAD)
    places = [place for places in report.examples.values() for place in places]
    assert all(place.startswith("list:") for place in places)


def test_photos_of_the_user_are_turned_with_their_boxes(run, source, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (60, 40))
    image.paste((255, 255, 255), (6, 4, 26, 14))
    for name in ("0.jpg", "1.png", "2.webp"):
        image.save(source / name, exif=exif)
    rows = [
        {"image": n, "caption": "x", "box": [6, 4, 20, 10]} for n in ("0.jpg", "1.png", "2.webp")
    ]
    write(source / "captions.jsonl", jsonl(*rows))
    status, _, err = run()
    assert status == 0 and "turned by its orientation tag" in err
    opened = catalog.open_split("folder", str(tmp_path / "data"), "train")
    for record in (opened[i] for i in range(3)):
        x, y, w, h = record["bbox"].astype(int)
        assert (x, y, w, h) == (26, 6, 10, 20)
        pixels = decode_rgb(record["image"])
        assert pixels.shape == (60, 40, 3)
        assert pixels[y : y + h, x : x + w].mean() > 240 > 20 > pixels[:5].mean()


def test_photos_of_the_papers_sets_are_not_turned_but_counted(tmp_path):
    root = disk_sources.cub(tmp_path / "src")
    exif = Image.Exif()
    exif[0x0112] = 8
    path = root / "CUB_200_2011/images/003.Sooty_Albatross/Sooty_Albatross_0001_5.jpg"
    image = Image.open(path)
    image.load()
    image.save(path, exif=exif)
    report = catalog.prepare("cub", str(root), str(tmp_path / "data"), strict=True)
    reason = "orientation tag ignored, as the papers' loaders do"
    assert report.counts["train", "kept", "image", reason] == 1
    opened = catalog.open_split("cub", str(tmp_path / "data"), "train")
    assert opened[2]["image"] == path.read_bytes()
    np.testing.assert_allclose(opened[2]["bbox"], [5, 2, 20.5, 15])
