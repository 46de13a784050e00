"""State dicts of the DF-GAN releases, with the authors' own names and shapes."""

import numpy as np
import pth_files
import pytest

from t2i_jax.interop.df_gan import (
    PARTS,
    discriminator_layout,
    export_discriminator,
    export_generator,
    generator_layout,
    import_discriminator,
    import_generator,
)
from t2i_jax.models.df_gan import Discriminator, Generator


def section(arrays, prefix):
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "df_gan.npz") as arrays:
        return dict(arrays)


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("G/", Generator(4, 64, 12)), ("V1G/", Generator(4, 64, 12, "2020", affine_dim=16))],
)
def test_generator_both_ways_with_its_numbers(golden, prefix, expected):
    state = section(golden, prefix)
    generator, variables = import_generator({f"module.{k}": v for k, v in state.items()})
    assert generator == expected
    same(export_generator(generator, variables), state)


def test_discriminator_of_2022_both_ways_with_its_numbers(golden):
    net_d, net_c = section(golden, "D/"), section(golden, "C/")
    module, variables = import_discriminator(net_d, net_c)
    assert module == Discriminator(4, 64)
    exported = export_discriminator(module, variables)
    same(exported["netC"], net_c)
    dead = {"DBlocks.3.conv_s.weight", "DBlocks.3.conv_s.bias"}
    same(exported["netD"], {k: v * (k not in dead) for k, v in net_d.items()})
    alive = {k: v for k, v in net_d.items() if k not in dead}
    again, tree = import_discriminator(alive, net_c)
    assert again == module
    same(export_discriminator(again, tree)["netD"], exported["netD"])


def test_discriminator_of_2020_is_that_of_rat_gan(golden_dir):
    with np.load(golden_dir / "rat_gan_64.npz") as arrays:
        state = section(dict(arrays), "D/")
    module, variables = import_discriminator(state)
    assert module == Discriminator(4, 64, "2020")
    same(export_discriminator(module, variables)["netD"], state)


def test_files_of_both_releases_are_read(golden, golden_dir, tmp_path):
    nets = {net: section(golden, f"{net[-1]}/") for net in ("netG", "netD", "netC")}
    path = pth_files.write(tmp_path / "state_epoch_1220.pth", {"model": nets, "epoch": 1220})
    generator, _ = PARTS["generator"](path)
    discriminator, variables = PARTS["discriminator"](path)
    assert generator.version == discriminator.version == "2022"
    same(export_discriminator(discriminator, variables)["netC"], nets["netC"])
    path = pth_files.write(tmp_path / "netG.pth", section(golden, "V1G/"))
    assert PARTS["generator"](path)[0].version == "2020"
    with np.load(golden_dir / "rat_gan_64.npz") as arrays:
        path = pth_files.write(tmp_path / "netD.pth", section(dict(arrays), "D/"))
    assert PARTS["discriminator"](path)[0].version == "2020"


def test_published_files_have_these_numbers_of_tensors():
    for version, generator, discriminator in (("2022", 226, 34), ("2020", 269, 34)):
        layout = generator_layout(Generator(version=version, affine_dim=256 * (version == "2020")))
        assert sum(map(len, layout)) == generator
        layout = discriminator_layout(Discriminator(version=version))
        assert sum(map(len, layout)) == discriminator


def test_every_array_is_checked(golden):
    state = section(golden, "G/")
    with pytest.raises(ValueError, match="not a generator of DF-GAN: fc.weight is missing"):
        import_generator(section(golden, "D/"))
    with pytest.raises(ValueError, match="not a discriminator of DF-GAN"):
        import_discriminator(state)
    name = "GBlocks.1.fuse2.affine1.fc_beta.linear2.bias"
    with pytest.raises(ValueError, match=f"{name} is missing"):
        import_generator({k: v for k, v in state.items() if k != name})
    with pytest.raises(ValueError, match=rf"{name} has shape \(3,\), not \(16,\)"):
        import_generator(state | {name: np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match=f"{name} holds values that are not finite"):
        import_generator(state | {name: np.full(16, np.inf, np.float32)})


def test_what_the_releases_lack_is_not_exported(golden):
    generator, variables = import_generator(section(golden, "G/"))
    for fields in (dict(affines=2), dict(affine_dim=8), dict(version="2020")):
        with pytest.raises(ValueError, match="the releases only have generators with affines=4"):
            export_generator(generator.clone(**fields), variables)
