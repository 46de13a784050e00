"""Previews of sets that are prepared, by a part of their options."""

import shutil

import pytest
from PIL import Image

from t2i_jax.commands import prepare
from t2i_jax.data import catalog, matching
from t2i_jax.data.report import DataError

from . import disk_sources, own_photos


@pytest.fixture
def run(tmp_path, capsys):
    """run(arguments) -> (exit status, standard output, standard error)."""

    def main(*arguments):
        status = prepare.main([*arguments, f"--data_dir={tmp_path / 'data'}"])
        return status, *capsys.readouterr()

    return main


def test_previews_need_no_source(run, tmp_path):
    own_photos.captions_list(tmp_path / "photos", own_photos.photos(3))
    run("--dataset=folder", f"--source={tmp_path / 'photos'}", "--name=mine", "--max_side=16")
    cub = disk_sources.cub(tmp_path / "cub")
    run("--dataset=cub", f"--source={cub}", "--max_side=20", "--split_kind=official")
    shutil.rmtree(tmp_path / "photos")
    shutil.rmtree(cub)
    png = tmp_path / "look.png"
    for arguments, name in (
        (("--dataset=folder",), "folder/mine_side16"),
        (("--dataset=folder", "--name=mine"), "folder/mine_side16"),
        (("--dataset=folder", "--name=mine", "--max_side=16"), "folder/mine_side16"),
        (("--dataset=folder/mine_side16",), "folder/mine_side16"),
        (("--dataset=cub",), "cub/official_side20"),
        (("--dataset=cub", "--split_kind=official"), "cub/official_side20"),
    ):
        status, out, err = run(*arguments, f"--preview={png}")
        assert (status, out, err) == (0, f"drew {png} of {name}\n", "")
        assert Image.open(png).size == (6 * 244, 380)
        png.unlink()
    for arguments, message in (
        (("--dataset=folder", "--name=min"), "folder/min is not prepared"),
        (("--dataset=folder", "--max_side=17"), "prepared are: mine_side16"),
        (("--dataset=cub", "--split_kind=disjoint"), "cub/disjoint is not prepared"),
        (("--dataset=cub", "--traces"), "cub has no option traces"),
        (("--dataset=flowers",), "flowers is not prepared in"),
        (("--dataset=cub", "--overwrite"), "cub is made from your own files (--source)"),
    ):
        status, out, err = run(*arguments, f"--preview={png}")
        assert status == 1 and out == "" and message in err and not png.exists()


def test_several_that_agree_are_named(tmp_path):
    data = str(tmp_path / "data")
    own_photos.captions_list(tmp_path / "mine", own_photos.photos(2))
    for options in ({}, {"max_side": 16}, {"max_side": 16, "no_captions": True}):
        catalog.prepare("folder", str(tmp_path / "mine"), data, **options)
    catalog.prepare("folder", str(tmp_path / "mine"), data, called="mine_too")
    with pytest.raises(DataError) as error:
        matching.prepared("folder", data, called="mine", max_side=16)
    assert str(error.value).endswith(
        "name one: --dataset=folder/mine_side16, --dataset=folder/mine_side16_uncaptioned"
    )
    found = matching.prepared("folder", data, called="mine", no_captions=True)
    assert found == "folder/mine_side16_uncaptioned"
    assert matching.prepared("folder", data, called="mine_too") == "folder/mine_too"
    assert catalog.split_names("folder/mine", data) == ["train"]
