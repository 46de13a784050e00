"""Published weights with one array spoilt: refused by its name, in one line, with the true reason;
and wrapped, renamed or in other number types: read as they are.
"""

import functools
import zipfile

import flax.serialization
import jax
import ml_dtypes
import numpy as np
import pth_files
import pytest
import safetensors.numpy
from flax.traverse_util import unflatten_dict

from t2i_jax.interop import (
    attn_gan,
    char_cnn_rnn,
    damsm,
    df_gan,
    files,
    pytorch_legacy,
    rat_gan,
    stack_gan_v1,
    stack_gan_v2,
    weights,
    xmc_gan,
)
from t2i_jax.interop.state_dict import clean

# A network's file of reference numbers, the beginning of its arrays' names there, its importer.
NETWORKS = {
    "attn_gan D": ("attn_gan", "D0/", lambda state: attn_gan.import_discriminator([state])),
    "char_cnn_rnn": ("t7_samples/expected", "gru18/", char_cnn_rnn.from_arrays),
    "damsm": ("damsm", "text/", damsm.import_text_encoder),
    "df_gan G": ("df_gan", "G/", df_gan.import_generator),
    "df_gan G 2020": ("df_gan", "V1G/", df_gan.import_generator),
    "rat_gan D": ("rat_gan", "D/", rat_gan.import_discriminator),
    "stack_gan_v1 G": ("stack_gan_v1", "s1/G/", stack_gan_v1.import_generator),
    "stack_gan_v2 D": (
        "stack_gan_v2",
        "cond/D64/",
        lambda state: stack_gan_v2.import_discriminator([state]),
    ),
}
# What is done to an array.
FAULTS = {
    "missing": lambda x: None,
    "another axis": lambda x: x[None],
    "a scalar": lambda x: np.float32(1),
    "NaN": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.nan, x),
    "infinite": lambda x: np.where(np.arange(x.size).reshape(x.shape) == x.size - 1, -np.inf, x),
    "infinite in float32": lambda x: np.full(x.shape, 1e300),
    "integers": lambda x: np.ones(x.shape, np.int8),
    "complex": lambda x: x + 1j,
    "text": lambda x: np.full(x.shape, "x"),
}


@pytest.fixture(scope="module")
def network(golden_dir):
    @functools.cache
    def load(name):
        file, prefix, importer = NETWORKS[name]
        with np.load(golden_dir / f"{file}.npz") as arrays:
            state = {
                k.removeprefix(prefix): arrays[k] for k in arrays.files if k.startswith(prefix)
            }
        return state, importer

    return load


def refused(importer, state, name):
    with pytest.raises(ValueError) as error:
        importer(state)
    assert name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_spoilt_array_is_refused_by_its_name(network, name):
    state, importer = network(name)
    arrays = sorted(state)
    for i, spoil in enumerate(FAULTS.values()):
        chosen = arrays[(7 * i + 3) % len(arrays)]
        spoilt = {k: spoil(x) if k == chosen else x for k, x in state.items()}
        refused(importer, {k: x for k, x in spoilt.items() if x is not None}, chosen)
    refused(importer, {**state, f"{arrays[0]}.more": np.zeros(2, np.float32)}, "more")


@pytest.mark.parametrize("name", ["damsm", "df_gan G", "stack_gan_v1 G"])
@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_other_floating_point_numbers_are_read(network, name, dtype):
    state, importer = network(name)
    _, expected = importer({k: x.astype(dtype).astype(np.float32) for k, x in state.items()})
    _, found = importer({k: x.astype(dtype) for k, x in state.items()})
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, y)


STATE = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.ones(2)}


@pytest.mark.parametrize(
    "rename",
    [
        "module.{}",
        "_orig_mod.{}",
        "module._orig_mod.{}",
        "_orig_mod.module.{}",
        "module.module.{}",
        "netG.{}",
        "model._orig_mod.{}",
    ],
)
def test_what_wrappers_add_to_names_is_taken_off(rename):
    assert clean({rename.format(k): x for k, x in STATE.items()}).keys() == STATE.keys()


def test_a_compiled_part_is_read_and_one_array_under_two_names_is_refused():
    assert clean({"a._orig_mod.weight": 1, "b.bias": 2}) == {"a.weight": 1, "b.bias": 2}
    assert clean({"net.a": 1, "b": 2}) == {"net.a": 1, "b": 2}
    for other in ("module.a", "_orig_mod.a", "module._orig_mod.a"):
        with pytest.raises(ValueError, match=f"a and {other} are the same array"):
            clean({"a": 1, other: 2})


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": {"netG": s, "netD": {}}, "optimizer": {"state": {}}},
        lambda s: {"netG": s, "netD": {"x": np.ones(1)}},
        lambda s: {"state_dict": {"model": s}, "mean": np.zeros(3)},
        lambda s: {"anything": s, "step": 1},
        lambda s: {"model_state_dict": s, "optimizer_state_dict": {"lr": 0.1}},
    ],
)
def test_wrappers_around_weights_are_taken_off(wrap, tmp_path):
    path = pth_files.write(tmp_path / "x.pth", wrap(STATE))
    found = files.load_state_dict(path, files.GENERATOR)
    assert found.keys() == STATE.keys()


@pytest.mark.parametrize("names", [("model", "ema"), ("state_dict", "module"), ("one", "two")])
def test_several_networks_in_one_file_are_refused(names, tmp_path):
    path = pth_files.write(tmp_path / "x.pth", dict.fromkeys(names, STATE))
    with pytest.raises(ValueError, match=f"x.pth: .* it holds several: {', '.join(names)}; save"):
        files.load_state_dict(path)


KINDS = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16, np.int32, np.uint8, bool]


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_a_pytorch_file(kind, order, tmp_path):
    array = np.array([[0, 1, 2], [3, 4.5, -6]]).astype(kind)
    path = pth_files.write(tmp_path / "x.pth", {"w": array, "v": array[0]}, order)
    found = pytorch_legacy.load(path)
    assert found["w"].dtype == array.dtype
    np.testing.assert_array_equal(found["w"], array)
    np.testing.assert_array_equal(found["v"], array[0])


def test_a_kind_of_numbers_that_is_not_read_is_named_with_the_array(tmp_path):
    for kind in ("QInt8", "ComplexFloat", "Float8_e4m3fn"):
        path = pth_files.write(tmp_path / "x.pth", {"a": np.ones(2), "b.w": np.ones(3, np.float32)})
        rewritten(
            path, "archive/data.pkl", lambda raw, k=kind: raw.replace(b"FloatS", f"{k}S".encode())
        )
        with pytest.raises(ValueError, match=f"b.w: numbers of the kind {kind} are not read"):
            pytorch_legacy.load(path)


def rewritten(path, entry, change):
    """Changes one entry of a zip file; None leaves it out."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries[entry] = change(entries[entry])
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in entries.items():
            if raw is not None:
                archive.writestr(name, raw)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda raw: None, "no item named"),
        (lambda raw: raw[:7], "cut short: the file has 7 of its 24 bytes"),
        (lambda raw: b"", "cut short: the file has 0 of its 24 bytes"),
    ],
)
def test_an_array_whose_numbers_are_not_all_there_is_named(change, reason, tmp_path):
    path = pth_files.write(tmp_path / "x.pth", {"state_dict": STATE})
    rewritten(path, "archive/data/0", change)
    with pytest.raises(ValueError, match=f"x.pth: .*state_dict/a.weight: .*{reason}"):
        files.load_state_dict(path)


def test_a_flipped_bit_in_a_zip_file_is_named_with_the_array(tmp_path):
    path = pth_files.write(tmp_path / "x.pth", STATE)
    raw = bytearray(path.read_bytes())
    raw[raw.index(STATE["a.bias"].tobytes()) + 3] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="x.pth: .*a.bias: Bad CRC-32"):
        pytorch_legacy.load(path)


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("ending", ["pth", "safetensors", "flax"])
def test_files_cut_short_are_one_line(ending, part, tmp_path):
    path = tmp_path / f"x.{ending}"
    if ending == "pth":
        pth_files.write(path, STATE)
    elif ending == "safetensors":
        safetensors.numpy.save_file(STATE, path)
    else:
        path.write_bytes(
            flax.serialization.msgpack_serialize(unflatten_dict({("g", "w"): np.ones(9)}))
        )
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    read = xmc_gan.load_generator if ending == "flax" else files.load_state_dict
    with pytest.raises(ValueError) as error:
        read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    if ending == "pth" and part:
        assert "cut short" in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16])
def test_a_network_that_a_run_kept_has_finite_weights(value, dtype, tmp_path):
    path = tmp_path / "encoder.safetensors"
    weights.save(path, {"params": {"a": np.ones(2, dtype), "b": np.array([1, value], dtype)}})
    with pytest.raises(ValueError, match="encoder.safetensors: params/b holds values that are not"):
        weights.load(path)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_safetensors_hold_state_dicts_too(dtype, tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file({k: x.astype(dtype) for k, x in STATE.items()}, path)
    found = files.load_state_dict(path)
    for name, array in STATE.items():
        np.testing.assert_array_equal(found[name], array.astype(dtype))
