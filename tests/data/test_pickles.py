"""The restricted unpickler: the papers' files are read, programs are refused."""

import os
import pickle

import numpy as np
import pytest

from t2i_jax.data import pickles
from t2i_jax.data.report import DataError

# What Python 2 wrote: a list of a NumPy int64 scalar and a name, protocol 0.
PYTHON2 = (
    b"(lp0\ncnumpy.core.multiarray\nscalar\np1\n(cnumpy\ndtype\np2\n(S'i8'\np3\nI0\nI1\ntp4\nRp5\n"
    b"(I3\nS'<'\np6\nNNNI-1\nI-1\nI0\ntp7\nbS'\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00'\np8\ntp9\nRp10\n"
    b"aV002.Laysan_Albatross/Laysan_Albatross_0002_1027\np11\na."
)
EXPECTED = [2, "002.Laysan_Albatross/Laysan_Albatross_0002_1027"]


class Attack:
    """Unpickles into a call of `function`."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.fixture
def file(tmp_path):
    def write(data: bytes):
        path = tmp_path / "file.pickle"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_python_2_text_pickle(file, newline):
    loaded = pickles.load(file(PYTHON2.replace(b"\n", newline)))
    assert loaded == EXPECTED
    assert loaded[0].dtype == np.int64


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_containers(file, protocol):
    value = [["a", "b\u00e9"], {"x": (1, 2.5, None, True)}, np.int64(7), np.float32(0.5)]
    assert pickles.load(file(pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_arrays_only_on_request(file, protocol):
    value = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(2, np.int16)]
    path = file(pickle.dumps(value, protocol))
    for array, loaded in zip(value, pickles.load(path, arrays=True), strict=True):
        np.testing.assert_array_equal(array, loaded, strict=True)
    with pytest.raises(pickles.PickleRefused, match="multiarray"):
        pickles.load(path)


@pytest.mark.parametrize(
    "value",
    [
        Attack(os.system, "touch attacked"),
        Attack(eval, "1"),
        Attack(np.load, "x.npy"),
        Attack(getattr, "", "format"),
        [np.array([print], object)],
    ],
    ids=["os.system", "eval", "numpy.load", "getattr", "object array of functions"],
)
@pytest.mark.parametrize("arrays", [False, True])
def test_programs_are_refused(file, value, arrays, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for protocol in (0, 2, 4):
        with pytest.raises(pickles.PickleRefused, match="file.pickle"):
            pickles.load(file(pickle.dumps(value, protocol)), arrays=arrays)
    assert not (tmp_path / "attacked").exists()


def test_codec_and_object_scalars_are_refused(file):
    codec = b"c_codecs\nencode\n(Vabc\nVrot13\ntR."
    scalar = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(VO8\nI0\nI1\ntRVx\ntR."
    for data in (codec, scalar):
        with pytest.raises(pickles.PickleRefused):
            pickles.load(file(data), arrays=True)


@pytest.mark.parametrize("data", [b"", b"hello", PYTHON2[:-20], pickle.dumps(["a"] * 9, 4)[:-5]])
def test_broken_files(file, data):
    with pytest.raises(DataError, match="file.pickle.*cut short"):
        pickles.load(file(data))


def test_published_lists(shared_data):
    for split, count in (("train", 8855), ("test", 2933)):
        folder = shared_data / "cub" / "full_metadata" / split
        names = pickles.load(folder / "filenames.pickle")
        classes = pickles.load(folder / "class_info.pickle")
        assert len(names) == len(classes) == count
        assert all(int(c) == int(n[:3]) for c, n in zip(classes, names, strict=True))
    assert len(pickles.load(shared_data / "cub" / "captions.pickle")) == 4
