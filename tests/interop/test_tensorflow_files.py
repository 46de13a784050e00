"""Checkpoints of both versions and a frozen graph, written by TensorFlow 2.21, read without it."""

import numpy as np
import pytest

from t2i_jax.interop import protobuf, tf_checkpoint, tf_graph


@pytest.fixture(scope="module")
def folder(golden_dir):
    return golden_dir / "tensorflow"


@pytest.fixture(scope="module")
def values(folder):
    with np.load(folder / "values.npz") as arrays:
        return dict(arrays)


def same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_version_1_and_its_slices(folder, values):
    """One variable was saved in two slices; one of 16 bits is left out."""
    assert values["split/part"].shape == (5, 3)
    same(tf_checkpoint.load(folder / "version1.ckpt"), values)


@pytest.mark.parametrize("ending", ["", ".index"])
def test_version_2(folder, values, ending):
    whole = {name: array for name, array in values.items() if name != "split/part"}
    same(tf_checkpoint.load(folder / f"version2.ckpt{ending}"), whole)
    assert tf_checkpoint.exists(folder / "version2.ckpt")
    assert not tf_checkpoint.exists(folder / "version3.ckpt")


def test_slices_of_version_2_are_refused(folder):
    with pytest.raises(ValueError, match="split/part is kept in slices"):
        tf_checkpoint.load(folder / "sliced2.ckpt")


def test_constants_of_a_graph(folder, values):
    found = tf_graph.load(folder / "graph.pb")
    same(
        found,
        {
            "conv/conv2d_params": values["conv/weights"],
            "conv/batchnorm/gamma": np.full(4, 2.5, np.float32),  # kept as one value
            "shape": np.array([-1, 7], np.int32),
            "scalar": np.float32(3),
            "listed": np.float32([1, 2, 4]),
        },
    )


def test_files_cut_short_are_refused(folder, tmp_path):
    data = (folder / "version1.ckpt").read_bytes()
    path = tmp_path / "cut.ckpt"
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match="cut.ckpt: not a readable checkpoint of TensorFlow"):
            tf_checkpoint.load(path)
    name = tmp_path / "cut2.ckpt"
    (tmp_path / "cut2.ckpt.index").write_bytes((folder / "version2.ckpt.index").read_bytes())
    with pytest.raises(FileNotFoundError, match="cut2.ckpt.data-00000-of-00001"):
        tf_checkpoint.load(name)
    data = (folder / "version2.ckpt.data-00000-of-00001").read_bytes()
    (tmp_path / "cut2.ckpt.data-00000-of-00001").write_bytes(data[:-1])
    with pytest.raises(ValueError, match="has .* bytes: cut short"):
        tf_checkpoint.load(name)


@pytest.mark.parametrize(
    ("file", "load"),
    [
        ("version1.ckpt", tf_checkpoint.load),
        ("version2.ckpt.index", tf_checkpoint.load),
        ("graph.pb", tf_graph.load),
    ],
)
def test_whatever_is_damaged_the_error_is_of_the_kind(folder, tmp_path, file, load):
    data = (folder / file).read_bytes()
    values = (folder / "version2.ckpt.data-00000-of-00001").read_bytes()
    (tmp_path / "version2.ckpt.data-00000-of-00001").write_bytes(values)
    path, refused = tmp_path / file, 0
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 0xFF if place % 2 else 0x01
        path.write_bytes(broken)
        try:
            load(path)
        except (ValueError, FileNotFoundError) as error:
            assert file.partition(".")[0] in str(error)
            refused += 1
    assert refused > len(data) / 8


@pytest.mark.parametrize("load", [tf_checkpoint.load, tf_graph.load])
def test_other_files_are_refused(tmp_path, load):
    (tmp_path / "text.pb").write_text("no protocol buffer at all")
    with pytest.raises(ValueError, match=r"text.pb: not a"):
        load(tmp_path / "text.pb")
    with pytest.raises(FileNotFoundError, match="nothing.pb"):
        load(tmp_path / "nothing.pb")


def test_whole_numbers():
    assert protobuf.varint(b"\xac\x02", 0) == (300, 2)  # the format's own example
    assert list(protobuf.fields(b"\x08\x96\x01\x12\x07testing")) == [(1, 150), (2, b"testing")]
    for broken in (b"\x08", b"\x12\x08testing", b"\x0b", b"\x80" * 11):
        with pytest.raises(ValueError):
            list(protobuf.fields(broken))
