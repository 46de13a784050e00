"""A prepared set that is damaged says so, and where."""

import shutil

import pytest

from t2i_jax.data import catalog, checksums
from t2i_jax.data.report import DataError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=12, size=32)
    return folder


@pytest.fixture
def version(prepared, tmp_path):
    """The folder of a copy's records."""
    shutil.copytree(prepared, tmp_path / "data")
    (file,) = (tmp_path / "data").rglob(checksums.FILE)
    return file.parent


def read(version):
    split = catalog.open_split("toy_birds", version.parents[2], "train")
    return [split[i] for i in range(len(split))]


def flip(path):
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


SMALL = (
    "dataset_info.json",
    "features.json",
    "metadata.json",
    "prepare_report.json",
    "labels-train.npy",
)
WAYS = (flip, halve, lambda path: path.write_bytes(b""))


def test_small_files_are_named(version):
    assert read(version)
    for name in SMALL:
        good = (version / name).read_bytes()
        for harm in WAYS:
            harm(version / name)
            with pytest.raises(DataError, match=f"{version} is damaged: {name} does not fit"):
                read(version)
            (version / name).write_bytes(good)
    (version / "features.json").unlink()
    with pytest.raises(DataError, match=f"{version} is damaged: .*features.json.* --overwrite"):
        read(version)


def test_sets_that_are_older_than_checksums(version):
    (version / checksums.FILE).unlink()
    assert read(version)
    for name in set(SMALL) - {"prepare_report.json"}:  # which reading needs not
        good = (version / name).read_bytes()
        halve(version / name)
        with pytest.raises(DataError, match=f"{version} is damaged: "):
            read(version)
        (version / name).write_bytes(good)


def test_damaged_checksums_and_records(version):
    for text in ("", "[1]", "{", "{}"):
        (version / checksums.FILE).write_text(text)
        with pytest.raises(DataError, match=f"{version} is damaged"):
            read(version)
    (version / checksums.FILE).unlink()
    (shard,) = version.glob("*train.array_record*")
    for harm in (halve, *WAYS[2:]):
        good = shard.read_bytes()
        harm(shard)
        with pytest.raises(DataError, match=f"{version} is damaged: .*record"):
            read(version)
        shard.write_bytes(good)
