"""Weights in the layout of the GAN-INT-CLS release, as saved by Torch7 itself."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.data import torch7
from t2i_jax.interop.gan_int_cls import layers, to_arrays, to_variables, torch7_arrays
from t2i_jax.models.gan_int_cls import Discriminator, Generator


@pytest.fixture(scope="module")
def samples(golden_dir):
    folder = golden_dir / "t7_samples"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    with np.load(folder / "expected.npz") as arrays:
        return folder, dict(arrays)


def section(arrays, player):
    return {k[2:]: v for k, v in arrays.items() if k.startswith(f"{player}/")}


@pytest.mark.parametrize("name", ["tiny_net_G", "tiny_net_G_gpu_names", "tiny_net_D"])
def test_saved_networks_are_read_and_converted_both_ways(samples, name):
    folder, expected = samples
    player = "d" if name.endswith("D") else "g"
    arrays = torch7_arrays(player, torch7.load(folder / f"{name}.t7"))
    back = to_arrays(player, to_variables(player, arrays, conv_bias=True))
    for found in (arrays, back):
        assert found.keys() == section(expected, player).keys()
        for field, value in section(expected, player).items():
            np.testing.assert_array_equal(found[field], value, err_msg=field)


def test_a_saved_generator_draws_what_torch7_drew(samples):
    folder, expected = samples
    arrays = torch7_arrays("g", torch7.load(folder / "tiny_net_G_gpu_names.t7"))
    module = Generator(64, channels=2, text_dim=4, noise_dim=3, conv_bias=True)
    variables = to_variables("g", arrays, conv_bias=True)
    noise = {"z": expected["in/z"][:, :, 0, 0]}
    (images,) = module.apply(variables, noise, expected["in/text"], train=False)
    want = expected["out/g_eval_image"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(images, want, atol=1e-5)


def test_a_saved_discriminator_judges_as_torch7_did(samples):
    folder, expected = samples
    arrays = torch7_arrays("d", torch7.load(folder / "tiny_net_D.t7"))
    module = Discriminator(64, channels=2, text_dim=4, conv_bias=True)
    images = expected["in/image"].transpose(0, 2, 3, 1)
    variables = to_variables("d", arrays, conv_bias=True)
    logits = module.apply(variables, images, expected["in/text"], train=False)
    want = expected["out/d_eval_probability"].ravel()
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), want, rtol=1e-4)


def test_old_fields_are_brought_up_to_date(samples):
    folder, expected = samples
    net = torch7.load(folder / "tiny_net_G.t7")
    norm = net.fields["modules"][4].fields
    norm["running_std"] = (norm.pop("running_var") + 1e-5) ** -0.5
    conv = net.fields["modules"][5].fields["modules"][2].fields["modules"][4].fields
    conv["weight"] = conv["weight"].reshape(conv["weight"].shape[0], -1)
    arrays = torch7_arrays("g", net)
    np.testing.assert_allclose(arrays["bn1/running_var"], expected["g/bn1/running_var"], rtol=1e-4)
    np.testing.assert_array_equal(arrays["res4/conv2/weight"], expected["g/res4/conv2/weight"])


def test_a_large_generator_is_read_into_its_own_layers(samples):
    """The saved generator with every residual branch and addition repeated, as its script does."""
    folder, _ = samples
    net = torch7.load(folder / "tiny_net_G.t7")
    modules = torch7.sequence(net.fields["modules"])
    second = copy.deepcopy(modules[4:6]), copy.deepcopy(modules[9:11])
    modules = [*modules[:6], *second[0], *modules[6:11], *second[1], *modules[11:]]
    for branches, *_ in second:
        for module in torch7.sequence(branches.fields["modules"][2].fields["modules"]):
            if "weight" in module.fields:
                module.fields["weight"] = -module.fields["weight"]
    net.fields["modules"] = {i: module for i, module in enumerate(modules, start=1)}
    arrays = torch7_arrays("g", net, large=True)
    assert len(layers("g", large=True)) == len(layers("g")) + 12
    for block in ("res4", "res8"):
        for part in ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3"):
            first, other = (arrays[f"{name}/{part}/weight"] for name in (block, f"{block}b"))
            np.testing.assert_array_equal(first, -other)
    variables = to_variables("g", arrays)
    module = Generator(64, channels=2, text_dim=4, noise_dim=3, large=True)
    noise = {"z": jnp.zeros((1, 3))}
    wanted = jax.eval_shape(
        lambda: module.init(jax.random.key(0), noise, jnp.zeros((1, 16)), train=False)
    )
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, wanted)
    with pytest.raises(ValueError, match="large False.* has 22 layers .*, this file has 34"):
        torch7_arrays("g", net)


def test_other_networks_are_refused(samples):
    folder, _ = samples
    net = torch7.load(folder / "tiny_net_D.t7")
    with pytest.raises(ValueError, match="has 17 layers with weights, this file has 18"):
        torch7_arrays("d", net, variant="cls")
    with pytest.raises(ValueError, match="has 22 layers with weights, this file has 18"):
        torch7_arrays("g", net)
    with pytest.raises(ValueError, match="takes the array 'conv7/weight'"):
        to_variables("d", {"conv7/weight": np.zeros((1, 1, 1, 1))})


def test_the_variants_differ_in_their_layers():
    assert set(layers("d")) - set(layers("d", "cls")) == {"fc_bn"}
    assert len(layers("d")) - len(layers("d", residual=False)) == 6
