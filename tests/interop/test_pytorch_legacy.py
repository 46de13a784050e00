"""Checkpoint files that PyTorch itself wrote, in both of its formats."""

import io
import pickle

import numpy as np
import pytest

from t2i_jax.interop import pytorch_legacy


@pytest.fixture(scope="module")
def files(golden_dir):
    folder = golden_dir / "pytorch"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    return folder


def flat(value, prefix=""):
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return {prefix[:-1]: np.asarray(value)}
    return {k: v for key, x in items for k, v in flat(x, f"{prefix}{key}|").items()}


@pytest.mark.parametrize("name", ["zip", "legacy"])
def test_values_shapes_and_types_are_pytorchs(files, name):
    with np.load(files / "expected.npz") as arrays:
        expected = dict(arrays)
    found = flat(pytorch_legacy.load(files / f"{name}.pth"))
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        assert found[key].dtype == array.dtype and found[key].shape == array.shape, key
        np.testing.assert_array_equal(found[key], array, err_msg=key)


def test_the_calls_of_the_oldest_files_are_read(files):
    state = pytorch_legacy.load(files / "legacy_0.3.pth")
    with np.load(files / "expected.npz") as arrays:
        for name, array in state.items():
            expected = arrays[f"state|{name.removeprefix('module.')}"]
            np.testing.assert_array_equal(array, expected)
    assert len(state) == 7


def test_other_objects_are_refused(files, tmp_path):
    with pytest.raises(ValueError, match="refused.pth.*asks for torch.device"):
        pytorch_legacy.load(files / "refused.pth")

    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    (tmp_path / "evil.pth").write_bytes(head + pickle.dumps({"x": Evil()}, 2))
    with pytest.raises(ValueError, match="asks for __builtin__.print"):
        pytorch_legacy.load(tmp_path / "evil.pth")


@pytest.mark.parametrize("name", ["zip", "legacy"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.7, 0.98])
def test_files_cut_short_are_refused(files, tmp_path, name, part):
    data = (files / f"{name}.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(data[: int(part * len(data))])
    with pytest.raises(ValueError, match="cut.pth: not a readable PyTorch checkpoint"):
        pytorch_legacy.load(tmp_path / "cut.pth")


def test_no_checkpoint_at_all_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(2))
    for content in (b"hello", pickle.dumps([1, 2]), buffer.getvalue()):
        (tmp_path / "other.pth").write_bytes(content)
        with pytest.raises(ValueError, match="not a readable PyTorch checkpoint"):
            pytorch_legacy.load(tmp_path / "other.pth")
    with pytest.raises(FileNotFoundError):
        pytorch_legacy.load(tmp_path / "missing.pth")
