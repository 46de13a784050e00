"""Checkpoints of the XMC-GAN release, with its own names and shapes (numbers: tests/parity)."""

import flax.serialization
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from t2i_jax.interop.xmc_gan import (
    PARTS,
    RELEASED,
    export_discriminator,
    export_generator,
    import_discriminator,
    import_generator,
)
from t2i_jax.models.xmc_gan import Discriminator, Generator


@pytest.fixture(scope="module")
def golden(golden_dir):
    names = {"g_params", "g_batch_stats", "d_params", "d_sn"}
    with np.load(golden_dir / "xmc_gan.npz") as arrays:
        found = {name: {} for name in names}
        for key in arrays:
            group, _, name = key.partition("/")
            if group in names:
                found[group][name] = arrays[key]
    return found


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_generator_both_ways(golden):
    generator, variables = import_generator(golden["g_params"], golden["g_batch_stats"])
    assert generator == Generator(8, 128, 16, **RELEASED)
    exported = export_generator(generator, variables)
    same(exported["params"], golden["g_params"])
    same(exported["batch_stats"], golden["g_batch_stats"])


def test_discriminator_both_ways(golden):
    discriminator, variables = import_discriminator(golden["d_params"], golden["d_sn"])
    assert discriminator == Discriminator(4, 128)
    exported = export_discriminator(discriminator, variables)
    same(exported["params"], golden["d_params"])
    same(exported["spectral"], golden["d_sn"])


@pytest.fixture
def checkpoint(golden, tmp_path):
    """A file as the release's trainer writes it, as far as it is read."""
    trees = {name: unflatten_dict(flat, sep="/") for name, flat in golden.items()}
    state = {
        "step": 3,
        "ema_params": trees["g_params"],
        "generator_state": {"batch_stats": trees["g_batch_stats"]},
        "d_optimizer": {"target": trees["d_params"], "state": {"step": 6}},
        "discriminator_state": {"spectral_norm_stats": trees["d_sn"]},
    }
    path = tmp_path / "ckpt-2.flax"
    path.write_bytes(flax.serialization.msgpack_serialize(state))
    return path


def test_both_networks_of_a_checkpoint(golden, checkpoint):
    generator, variables = PARTS["generator"](checkpoint)
    same(export_generator(generator, variables)["params"], golden["g_params"])
    discriminator, variables = PARTS["discriminator"](checkpoint)
    same(export_discriminator(discriminator, variables)["spectral"], golden["d_sn"])


def test_faults_are_named(golden, checkpoint):
    params = {k: v for k, v in golden["g_params"].items() if k != "Conv_0/bias"}
    with pytest.raises(ValueError, match="XMC-GAN's generator, params: Conv_0/bias is missing"):
        import_generator(params, golden["g_batch_stats"])
    with pytest.raises(ValueError, match="not a generator of XMC-GAN: 0 blocks that attend"):
        import_generator(golden["d_params"], {})
    bad = {**golden["d_params"], "SpectralConv_0/bias": np.full(32, np.nan, np.float32)}
    with pytest.raises(ValueError, match="SpectralConv_0/bias holds values that are not finite"):
        import_discriminator(bad, golden["d_sn"])
    with pytest.raises(ValueError, match="the release has no generator with another gain"):
        export_generator(Generator(**{**RELEASED, "gain": "gamma"}), {})
    checkpoint.write_bytes(flax.serialization.msgpack_serialize({"step": 1}))
    with pytest.raises(ValueError, match="ckpt-2.flax: .* it has no ema_params"):
        PARTS["generator"](checkpoint)
    checkpoint.write_bytes(b"\xc1")
    with pytest.raises(ValueError, match="ckpt-2.flax: not a checkpoint of Flax"):
        PARTS["generator"](checkpoint)
