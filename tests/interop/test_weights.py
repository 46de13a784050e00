"""Safetensors files of variable trees: exact round trips, and every damage noticed."""

import resource

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from t2i_jax.interop import weights


@pytest.fixture
def variables():
    rng = np.random.default_rng(0)
    return {
        "params": {
            "text": {"conv1": {"kernel": rng.normal(size=(4, 7, 3)).astype(np.float32)}},
            "scale": jnp.float32(2.5),
        },
        "batch_stats": {"bn": {"mean": jnp.arange(5.0)[::2], "count": np.int32(7)}},
    }


def test_round_trip_is_exact(tmp_path, variables):
    path = tmp_path / "encoder.safetensors"
    weights.save(path, variables, {"config": '{"width": 8}'})
    read, metadata = weights.load(path, like=variables)
    assert metadata == {"config": '{"width": 8}'}
    assert jax.tree.structure(read) == jax.tree.structure(variables)
    for a, b in zip(jax.tree.leaves(read), jax.tree.leaves(variables), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert [p.name for p in tmp_path.iterdir()] == ["encoder.safetensors"]


def test_file_is_ordinary_safetensors(tmp_path, variables):
    weights.save(tmp_path / "w.safetensors", variables)
    plain = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    assert set(plain) == {
        "params/text/conv1/kernel",
        "params/scale",
        "batch_stats/bn/mean",
        "batch_stats/bn/count",
    }


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.arange(24, dtype=np.int32).reshape(2, 3, 4).transpose(2, 0, 1),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(20, dtype=np.float32).reshape(4, 5)[::2, ::-1],
        np.broadcast_to(np.float32(3), (2, 3)),
        jnp.arange(12.0).reshape(3, 4).T,
    ],
    ids=["transposed", "three axes", "Fortran", "strided", "repeated", "jax"],
)
def test_arrays_of_any_memory_order_are_written_as_they_read(tmp_path, array):
    """safetensors 0.8.0 writes memory as it lies, whatever the strides: `save` lays it out."""
    weights.save(tmp_path / "w.safetensors", {"params": {"kernel": array}})
    plain = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(plain["params/kernel"], np.asarray(array))


def test_a_full_disk_is_told_in_a_line(tmp_path):
    """Here a limit of the process; nothing is left."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match=r"x\.safetensors: .*File too large") as error:
            weights.save(tmp_path / "x.safetensors", {"a": np.zeros(10_000, np.float32)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_any_flipped_bit_is_noticed(tmp_path, variables):
    path = tmp_path / "w.safetensors"
    weights.save(path, variables)
    data = bytearray(path.read_bytes())
    for position in range(8, len(data), 41):
        flipped = bytearray(data)
        flipped[position] ^= 4
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"w\.safetensors"):
            weights.load(path, like=variables)


def test_truncated_and_foreign_files_are_refused(tmp_path, variables):
    path = tmp_path / "w.safetensors"
    weights.save(path, variables)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        weights.load(path)
    safetensors.numpy.save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="no digest"):
        weights.load(path)
    with pytest.raises(FileNotFoundError):
        weights.load(tmp_path / "none.safetensors")


def test_differences_from_the_network_are_listed(tmp_path, variables):
    path = tmp_path / "w.safetensors"
    weights.save(path, variables)
    like = {
        "params": {
            "text": {"conv1": {"kernel": jax.ShapeDtypeStruct((4, 7, 8), jnp.float32)}},
            "proj": jax.ShapeDtypeStruct((3,), jnp.float32),
        },
        "batch_stats": variables["batch_stats"],
    }
    with pytest.raises(ValueError) as caught:
        weights.load(path, like=like)
    assert "missing params/proj; unknown params/scale" in str(caught.value)
    assert "kernel is float32 (4, 7, 3), expected float32 (4, 7, 8)" in str(caught.value)


def test_names_that_would_collide_are_refused(tmp_path):
    with pytest.raises(ValueError, match="must not hold '/': 'a/b'"):
        weights.save(tmp_path / "w", {"params": {"a/b": np.zeros(1)}})
    with pytest.raises(ValueError, match="taken by the digest"):
        weights.save(tmp_path / "w", {"a": np.zeros(1)}, {"sha256": "x"})
    assert not list(tmp_path.iterdir())


def test_digest_depends_on_names_shapes_and_values():
    base = weights.digest({"a": np.zeros((2, 3), np.float32)})
    assert base == weights.digest({"a": jnp.zeros((2, 3))})
    others = [
        {"b": np.zeros((2, 3), np.float32)},
        {"a": np.zeros((3, 2), np.float32)},
        {"a": np.zeros((2, 3), np.int32)},
        {"a": np.full((2, 3), 1e-30, np.float32)},
    ]
    assert base not in [weights.digest(tree) for tree in others]
