"""State dicts of the StackGAN-v2 release, with the authors' own names and shapes."""

import numpy as np
import pytest

from t2i_jax.interop.stack_gan_v2 import (
    discriminator_layers,
    export_discriminator,
    export_generator,
    generator_layers,
    generator_of,
    import_discriminator,
    import_generator,
)
from t2i_jax.models.stack_gan_v2 import Discriminator, Generator

SIZES = (64, 128, 256)


@pytest.fixture(scope="module")
def golden(golden_dir):
    path = golden_dir / "stack_gan_v2.npz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with np.load(path) as arrays:
        return dict(arrays)


def section(arrays, prefix):
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def same(actual, expected):
    assert list(actual) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


@pytest.mark.parametrize("case", ["cond", "uncond"])
def test_generator_both_ways_with_its_numbers(golden, case):
    state = section(golden, f"{case}/G/")
    rows, gf, df, ef, z_dim, t_dim, blocks, conditional = golden[f"{case}/cfg"]
    generator, variables = import_generator({f"module.{k}": v for k, v in state.items()})
    assert generator == Generator(gf, ef if conditional else 0, z_dim, blocks)
    same(export_generator(generator, variables, counts=False), state)
    counted = export_generator(generator, variables)
    counts = {k: v for k, v in counted.items() if k.endswith("num_batches_tracked")}
    assert len(counts) == sum(k.endswith("running_var") for k in state)
    assert {v.dtype for v in counts.values()} == {np.dtype("int64")}
    again, tree = import_generator(counted)
    assert again == generator
    same(export_generator(again, tree, counts=False), state)


@pytest.mark.parametrize("case", ["cond", "uncond"])
def test_discriminators_both_ways_with_their_numbers(golden, case):
    states = [section(golden, f"{case}/D{size}/") for size in SIZES]
    module, variables = import_discriminator(states)
    assert module == Discriminator(int(golden[f"{case}/cfg"][2]), SIZES)
    exported = export_discriminator(module, variables, counts=False)
    for found, state in zip(exported, states, strict=True):
        assert found.keys() == state.keys()
        for name in state:
            np.testing.assert_array_equal(found[name], state[name])


def test_names_of_the_real_sizes():
    """Spot checks against the tables of the release."""
    g = generator_layers(Generator())
    assert {"h_net2.residual.1.block.4", "h_net3.upsample.2", "img_net3.img.0"} <= g.keys()
    assert (
        sum(name.startswith("h_net4.residual") for name in generator_layers(Generator(scales=4)))
        == 4
    )
    assert "img_code_s64_2.1" in discriminator_layers(256, True)
    assert "img_code_s128_3.0" in discriminator_layers(512, True)
    assert not {"jointConv.0", "uncond_logits.0"} & discriminator_layers(64, False).keys()


def test_other_files_and_trees_are_refused(golden):
    state = section(golden, "cond/G/")
    with pytest.raises(ValueError, match="not a generator of StackGAN-v2"):
        generator_of(section(golden, "cond/D64/"))
    with pytest.raises(ValueError, match="not a discriminator of StackGAN-v2"):
        import_discriminator([state])
    with pytest.raises(ValueError, match="h_net9.x.weight is unknown"):
        import_generator({**state, "h_net9.x.weight": np.zeros(1)})
    pair = [section(golden, "cond/D64/"), section(golden, "cond/D128/")]
    pair[1]["img_code_s16.0.weight"] = np.zeros((3, 3, 4, 4))
    with pytest.raises(ValueError, match=r"different widths: \[2, 3\]"):
        import_discriminator(pair)
    generator, variables = import_generator(state)
    with pytest.raises(ValueError, match="only has the plain tree"):
        export_generator(generator.clone(heads=(3,)), variables)
