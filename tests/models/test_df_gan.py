"""DF-GAN networks: published parameter counts of both versions, what steers the affine layers."""

import jax.numpy as jnp
import numpy as np
import pytest

from models.affine_nets import IMAGES, NOISE, SENTENCE, count, random_variables, run, shapes
from t2i_jax.models.df_gan import Discriminator, Generator

DEAD = {32: 197_376, 64: 787_968}  # shortcuts that the release makes and never uses


@pytest.mark.parametrize(
    ("channels", "generator", "trunk", "head"),
    [(32, 9_744_131, 6_619_206, 295_936), (64, 31_819_267, 26_472_582, 886_784)],
)
def test_networks_of_2022_have_the_published_number_of_parameters(channels, generator, trunk, head):
    assert count(Generator(channels)) == generator
    assert count(Discriminator(channels)) == trunk + head - DEAD[channels]


def test_networks_of_2020_have_the_published_number_of_parameters():
    for channels, published in ((32, 12_240_010), (64, 31_480_074)):
        assert count(Generator(channels, version="2020", affine_dim=256)) == published
    for channels, published, dead in ((32, 20_170_566, 525_312), (64, 80_379_526, 2_099_200)):
        assert count(Discriminator(channels, version="2020")) == published - dead


@pytest.mark.parametrize(
    ("size", "generator", "trunk", "unused"),
    [
        (32, 2_431_235, 1_506_627, 0),
        (64, 4_868_867, 3_210_820, 1),
        (128, 7_306_499, 4_915_013, 2),
        (512, 12_181_763, 8_323_399, 4),
    ],
)
def test_other_sizes_have_the_release_number_of_parameters(size, generator, trunk, unused):
    """unused: shortcuts of blocks that keep their width."""
    assert count(Generator(image_size=size)) == generator
    dead = unused * (256 * 256 + 256)
    assert count(Discriminator(image_size=size)) == trunk + 295_936 - dead


@pytest.mark.parametrize("version", ["2022", "2020"])
def test_noise_steers_the_affine_layers_in_2022_alone(version):
    generator = Generator(channels=2, image_size=16, noise_dim=4, version=version)
    variables = random_variables(generator, NOISE, SENTENCE)
    # With this layer at 0 the noise only reaches the image through the affine layers.
    fc = variables["params"]["decoder"]["fc"]
    fc["kernel"] = jnp.zeros_like(fc["kernel"])
    images = [run(generator, variables, {"z": z}, SENTENCE)[0] for z in (NOISE["z"], -NOISE["z"])]
    assert np.any(images[0] != images[1]) == (version == "2022")
    assert images[0].shape == (3, 16, 16, 3) and np.abs(images[0]).max() <= 1.0
    other = run(generator, variables, NOISE, SENTENCE[[1, 2, 0]])[0]
    assert np.any(images[0] != other)


def test_one_and_two_way_output():
    discriminator = Discriminator(channels=2, image_size=16, two_way=True)
    variables = random_variables(discriminator, IMAGES, SENTENCE)
    logits, extras = run(discriminator, variables, IMAGES, SENTENCE)
    other, other_extras = run(discriminator, variables, IMAGES, SENTENCE[[1, 2, 0]])
    assert logits.shape == (3,) and not np.any(logits == other)
    np.testing.assert_array_equal(extras["real"], other_extras["real"])
    tree = {name: variables["params"][name] for name in ("trunk", "fits")}
    one_way = discriminator.clone(two_way=False)
    alone, extras = run(one_way, {"params": tree}, IMAGES, SENTENCE)
    np.testing.assert_array_equal(alone, logits)
    assert extras == {}


def test_samples_do_not_depend_on_their_neighbours():
    generator = Generator(channels=2, image_size=16, noise_dim=4)
    discriminator = Discriminator(channels=2, image_size=16)
    g_vars = random_variables(generator, NOISE, SENTENCE)
    d_vars = random_variables(discriminator, IMAGES, SENTENCE)

    def both(rows):
        noise = {"z": NOISE["z"][rows]}
        (image,) = run(generator, g_vars, noise, SENTENCE[rows])
        return image, run(discriminator, d_vars, IMAGES[rows], SENTENCE[rows])[0]

    for whole, part in zip(both(slice(3)), both(slice(1, 3)), strict=True):
        np.testing.assert_allclose(whole[1:], part, rtol=1e-4, atol=1e-5)


def test_unknown_version():
    for module in (Generator(version="v1"), Discriminator(version="v1")):
        with pytest.raises(ValueError, match=r"version must be one of .*, got 'v1'"):
            shapes(module)
