"""What is prepared is known by where it came from: the same again, changed, or another."""

import os
import shutil

import pytest

from t2i_jax.commands import prepare
from t2i_jax.data import catalog, origin
from t2i_jax.data.report import DataError

from . import disk_sources
from .disk_sources import jpeg, jsonl, write


def folder(root, captions=("a red car",), seed=0):
    rows = []
    for i, caption in enumerate(captions):
        write(root / f"images/{i}.png", jpeg(seed=seed + i, form="PNG"))
        rows.append({"image": f"images/{i}.png", "captions": [caption]})
    write(root / "captions.jsonl", jsonl(*rows))
    return root


@pytest.fixture
def run(tmp_path, capsys):
    """run(source, *arguments) -> (exit status, what was printed)."""

    def main(source, *arguments, dataset="folder"):
        places = [f"--dataset={dataset}", f"--data_dir={tmp_path / 'data'}"]
        status = prepare.main([*places, f"--source={source}", *map(str, arguments)])
        return status, "".join(capsys.readouterr())

    return main


def captions(tmp_path, name="folder"):
    split = catalog.open_split(name, str(tmp_path / "data"), "train")
    return [split[i]["captions"] for i in range(len(split))]


@pytest.mark.parametrize(
    "other",
    [
        {"captions": ("a blue car",)},
        {"captions": ("a red car", "another")},
        {"seed": 5},  # the same captions of other images
    ],
)
def test_another_folder_of_the_same_name(run, tmp_path, other):
    one, two = folder(tmp_path / "a/cars"), folder(tmp_path / "b/cars", **other)
    assert run(one)[0] == 0
    status, printed = run(two)
    assert status == 1 and f"prepared with --source={one}, not with --source={two}" in printed
    assert "(--name=NAME)" in printed and "--overwrite" in printed
    assert "nothing done" not in printed and captions(tmp_path) == [["a red car"]]
    status, printed = run(two, "--name=other cars")
    assert status == 0 and "folder/other-cars/" in printed
    assert captions(tmp_path, "folder/cars") == [["a red car"]]
    assert len(captions(tmp_path, "folder/other-cars")) == len(other.get("captions", "1"))
    assert "nothing done" in run(two, "--name=other cars")[1] and run(one)[0] == 0
    assert run(two, "--overwrite")[0] == 0 and "nothing done" in run(two)[1]
    assert run(one)[0] == 1


def test_names_that_are_written_alike(run, tmp_path):
    for name in ("my cars", "my-cars", "my:cars", "my?cars"):
        status, printed = run(folder(tmp_path / name, captions=(name,)))
        assert (status == 0) == (name == "my cars") and "nothing done" not in printed
    assert captions(tmp_path) == [["my cars"]]


def test_a_folder_that_was_moved_is_the_same(run, tmp_path):
    one = folder(tmp_path / "a/cars")
    run(one)
    copied = shutil.copytree(one, tmp_path / "b/cars")  # with the times of its files
    for there in (copied, one.parent.parent / "a/../a/cars"):
        status, printed = run(there)
        assert status == 0 and "nothing done" in printed and "warning" not in printed
    shutil.rmtree(one)
    assert run(one)[0] == 0  # to have room again
    status, printed = run(tmp_path / "c/cars")
    assert status == 1 and f"the source {tmp_path / 'c/cars'} is not a folder" in printed


def corrected(root):
    write(root / "captions.jsonl", jsonl({"image": "images/0.png", "captions": ["a red cab"]}))


def added(root):
    write(root / "images/more.png", jpeg(seed=9, form="PNG"))


def a_new_folder(root):
    write(root / "more/1.png", jpeg(seed=9, form="PNG"))


def removed(root):
    (root / "images/0.png").unlink()


def redrawn(root):
    data = jpeg(seed=8, form="BMP")
    assert len(data) == len(jpeg(form="BMP"))
    write(root / "images/0.png", data)


def written_again(root):
    path = root / "images/0.png"
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize(
    "change, said",
    [
        (corrected, "files changed in ."),
        (added, "files added, removed or renamed in images (1 files before, 2 now)"),
        (a_new_folder, "files added, removed or renamed in more (0 files before, 1 now)"),
        (removed, "files added, removed or renamed in images (1 files before, 0 now)"),
        (redrawn, "files changed in images"),
        (written_again, "files of the same size written again in images"),
    ],
)
def test_a_source_that_has_changed_since(run, tmp_path, change, said):
    source = folder(tmp_path / "cars")
    run(source)
    write(source / ".cache/x", "hidden: no data"), write(source / ".DS_Store", "nor this")
    assert "warning" not in run(source)[1]
    change(source)
    status, printed = run(source)
    assert status == 0 and "nothing done" in printed
    assert f"warning: the source {source} has changed since it was prepared ({said})" in printed
    assert "--overwrite prepares it again" in printed
    if change is not removed:
        assert run(source, "--overwrite")[0] == 0
        assert "warning: the source" not in run(source)[1]


def test_every_data_set_with_a_source(run, tmp_path):
    for name in ("cub", "flowers", "coco"):
        one = getattr(disk_sources, name)(tmp_path / "a" / name)
        assert run(one, dataset=name)[0] == 0
        two = getattr(disk_sources, name)(tmp_path / "b" / name)
        text = next(p for p in sorted(two.rglob("*")) if p.suffix in (".txt", ".json"))
        text.write_text(text.read_text() + "\n")
        status, printed = run(two, dataset=name)
        assert (
            status == 1
            and f"not with --source={two}" in printed
            and "another --data_dir" in printed
        )


def test_pictures_in_another_folder(run, tmp_path):
    texts = tmp_path / "texts"
    write(texts / "coco_val_captions.jsonl", disk_sources.narrative("42", 1))
    one = disk_sources.coco(tmp_path / "one", "2017")
    two = disk_sources.coco(tmp_path / "two", "2017")
    assert run(texts, f"--images={one}", dataset="ln_coco")[0] == 0
    assert "nothing done" in run(texts, f"--images={one}", dataset="ln_coco")[1]
    status, printed = run(texts, f"--images={two}", dataset="ln_coco")
    assert status == 1 and f"prepared with --images={one}, not with --images={two}" in printed


def test_without_a_source_what_is_prepared_is_used(tmp_path):
    source = disk_sources.cub(tmp_path / "cub")
    catalog.prepare("cub", str(source), str(tmp_path))
    assert catalog.prepare("cub", None, str(tmp_path)).already


def test_the_prepared_sets_may_lie_in_the_source(tmp_path):
    source = folder(tmp_path / "cars")
    for data_dir in (source / "data", source):
        assert not catalog.prepare("folder", str(source), str(data_dir)).already
        again = catalog.prepare("folder", str(source), str(data_dir))
        assert again.already and not again.notes
        shutil.rmtree(data_dir / "t2i_folder")


def test_links_in_circles_and_odd_files_end(tmp_path):
    source = folder(tmp_path / "cars")
    (source / "images/up").symlink_to(source, target_is_directory=True)
    (source / "nowhere.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(source / "pipe.txt")
    (source / os.fsdecode(b"caf\xe9")).mkdir()
    found = origin.take({}, {"source": source}, ())["roots"]["source"]["folders"]
    assert set(found) == {".", "images", "caf\\xe9"}


@pytest.mark.parametrize("left", [None, "", "[]", '{"options": {}}', '{"options": {}'])
def test_sets_that_are_older_or_whose_origin_is_damaged(run, tmp_path, left):
    one, two = folder(tmp_path / "a/cars"), folder(tmp_path / "b/cars", seed=3)
    run(one)
    path = tmp_path / "data/t2i_folder/cars/1.0.0" / origin.FILENAME
    path.unlink() if left is None else path.write_text(left)
    status, printed = run(one)
    assert status == 0 and "does not say how its source looked" in printed
    assert run(two)[0] == 1


def test_other_options(tmp_path, monkeypatch):
    """Of a builder whose options are no part of its configs' names."""
    from t2i_jax.data.builders.toy_birds import ToyConfig

    monkeypatch.setattr(ToyConfig, "name_parts", lambda self: ["toys"])
    monkeypatch.setattr("t2i_jax.data.builders.toy_birds.T2iToyBirds.BUILDER_CONFIGS", [
        ToyConfig(name="none")
    ])  # fmt: skip
    catalog.prepare("toy_birds", None, str(tmp_path), num_images=2, size=8)
    assert catalog.prepare("toy_birds", None, str(tmp_path), num_images=2, size=8).already
    for change in ({"num_images": 3}, {"size": 9}, {"seed": 1}):
        with pytest.raises(DataError, match="prepared with the options"):
            catalog.prepare(
                "toy_birds", None, str(tmp_path), **{"num_images": 2, "size": 8} | change
            )


def test_only_a_folder_is_given_a_name(tmp_path):
    with pytest.raises(DataError, match="toy_birds has a name of its own"):
        catalog.prepare("toy_birds", None, str(tmp_path), called="x")
