"""Preparing to a store, and opening what lies there."""

import json

import numpy as np
import pytest
from fake_store import FORBIDDEN, SHOWN

from t2i_jax.commands import prepare
from t2i_jax.data import catalog, on_stores
from t2i_jax.data.report import DataError

DATA = "gs://bucket/data"
OPTIONS = {"num_images": 12, "size": 32}


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """Where copies of prepared sets go."""
    monkeypatch.setenv(on_stores.CACHE, str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def test_a_set_is_the_same_as_on_a_local_disk(store, cache, tmp_path, capsys):
    report = catalog.prepare("toy_birds", None, DATA, **OPTIONS)
    assert report.path == f"{DATA}/t2i_toy_birds/32px_12_seed0/1.0.0"
    assert store.uploads[-1].endswith("/dataset_info.json")  # what makes it a prepared one is last
    catalog.prepare("toy_birds", None, tmp_path / "here", **OPTIONS)
    for _ in range(2):
        split = catalog.open_split("toy_birds", DATA, "train")
    other = catalog.open_split("toy_birds", str(tmp_path / "here"), "train")
    assert len(split) == len(other) == split.info["num_records"]
    for i in range(len(split)):
        mine, theirs = split[i], other[i]
        assert mine["image"] == theirs["image"] and mine["captions"] == theirs["captions"]
    np.testing.assert_array_equal(split.labels, other.labels)
    assert capsys.readouterr().err.count("copying gs://") == 1  # the second time it is there
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "here"]  # no "gs:"


def test_it_is_prepared_once(store, cache):
    catalog.prepare("toy_birds", None, DATA, **OPTIONS)
    before = len(store.uploads)
    again = catalog.prepare("toy_birds", None, DATA, **OPTIONS)
    assert again.already and len(store.uploads) == before
    assert again.path.startswith(DATA)


def test_a_set_that_was_prepared_anew_is_copied_anew(store, cache):
    catalog.prepare("toy_birds", None, DATA, **OPTIONS)
    old = catalog.open_split("toy_birds", DATA, "train").info["path"]
    folder = "/bucket/data/t2i_toy_birds/32px_12_seed0/1.0.0"
    names = json.loads(store.store[f"{folder}/metadata.json"].getvalue())
    store().rm(f"gs:/{folder}/checksums.json")  # as an older set
    store().pipe(f"gs:/{folder}/metadata.json", json.dumps({**names, "more": 1}).encode())
    new = catalog.open_split("toy_birds", DATA, "train")
    assert new.info["path"] != old and new.info["more"] == 1
    catalog.prepare("toy_birds", None, DATA, overwrite=True, **OPTIONS)
    assert catalog.open_split("toy_birds", DATA, "train").info["path"] == old


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--data_dir=gss://bucket/data"], "gss://bucket/data: there is no protocol gss://"),
        (["--data_dir=gs:/bucket/data"], "write gs://bucket/data for a store"),
        ([f"--data_dir=gs://{FORBIDDEN}/data"], f"gs://{FORBIDDEN}/data/t2i_toy_birds: Forbidden"),
        ([f"--data_dir=gs://{SHOWN}/data"], f"gs://{SHOWN}/data/t2i_toy_birds/32px_12_seed0"),
        (
            ["--data_dir=here", "--source=gs://bucket/raw"],
            "the files of data sets lie on local disks",
        ),
        (["--data_dir=here", "--preview=gs:/bucket/x.png"], "write gs://bucket/x.png"),
    ],
)
def test_mistakes_are_one_line_and_make_no_folder(store, cache, tmp_path, capsys, arguments, words):
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    assert prepare.main(["--dataset=toy_birds", *options, *arguments]) == 1
    printed = capsys.readouterr().err
    assert words in printed and "Traceback" not in printed
    assert "gcloud auth" in printed or "Forbidden" not in printed
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("gs")]


def test_a_store_without_the_set(store, cache):
    with pytest.raises(catalog.NotPrepared, match=f"--data_dir={DATA}"):
        catalog.open_split("toy_birds", DATA, "train")
    with pytest.raises(OSError, match="Forbidden"):
        catalog.open_split("toy_birds", f"gs://{FORBIDDEN}/data", "train")
    with pytest.raises(DataError, match="no split 'val'"):
        catalog.prepare("toy_birds", None, DATA, **OPTIONS)
        catalog.open_split("toy_birds", DATA, "val")
