"""State dicts of StackGAN-v1's PyTorch release, with the authors' own names and shapes."""

import numpy as np
import pytest

from t2i_jax.interop import stack_gan_v1 as interop
from t2i_jax.models.stack_gan_v1 import Discriminator, Generator, Stage2Generator


@pytest.fixture(scope="module")
def golden(golden_dir):
    path = golden_dir / "stack_gan_v1.npz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with np.load(path) as arrays:
        return dict(arrays)


def section(arrays, prefix):
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


def test_stage_one_both_ways_with_its_numbers(golden):
    rows, gf, df, cd, z_dim, *_ = golden["s1/cfg"]
    state, judge = section(golden, "s1/G/"), section(golden, "s1/D/")
    module, variables = interop.import_generator(state)
    assert module == Generator(64, gf, cd, z_dim, "relu")
    same(interop.export_generator(variables, counts=False), state)
    module, variables = interop.import_discriminator(judge)
    assert module == Discriminator(64, df, 0, 3)
    same(interop.export_discriminator(module, variables, counts=False), judge)


def test_stage_two_both_ways_with_its_numbers(golden):
    rows, gf, df, cd, z_dim, t_dim, blocks, _ = golden["s2/cfg"]
    state, judge = section(golden, "s2/G/"), section(golden, "s2/D/")
    stage1, module, variables = interop.import_stage2(state)
    assert stage1 == Generator(64, gf, cd, z_dim, "relu")
    assert module == Stage2Generator(256, gf, cd, blocks, "relu")
    same(interop.export_stage2(module, variables, counts=False), state)
    counted = interop.export_stage2(module, variables)
    assert sum(k.endswith("num_batches_tracked") for k in counted) == sum(
        k.endswith("running_var") for k in state
    )
    # The first stage alone, out of the second's file.
    alone, inner = interop.import_generator(counted)
    assert alone == stage1
    same(interop.export_generator(inner, counts=False), section(state, "STAGE1_G."))
    module, variables = interop.import_discriminator(judge)
    assert module == Discriminator(256, df, 0, 3, True)
    same(interop.export_discriminator(module, variables, counts=False), judge)


def test_other_files_are_refused(golden):
    with pytest.raises(ValueError, match="not a generator of StackGAN-v1: ca_net.fc.weight is mis"):
        interop.import_generator(section(golden, "s1/D/"))
    with pytest.raises(ValueError, match="not a discriminator of StackGAN-v1: encode_img.0.weight"):
        interop.import_discriminator(section(golden, "s1/G/"))
    with pytest.raises(ValueError, match="not the state dict"):
        interop.import_stage2(section(golden, "s1/G/"))
