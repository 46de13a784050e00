"""StackGAN-v1 networks: published parameter counts and shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.models.conditioning import ConditioningAugmentation
from t2i_jax.models.stack_gan_v1 import Discriminator, Generator, Stage2Generator

NOISE = {"z": jnp.zeros((1, 100)), "eps": jnp.zeros((1, 128))}
SENTENCE = jnp.zeros((1, 1024))


def shapes(module, *inputs):
    """(output, variables) as shapes."""
    return jax.eval_shape(lambda: module.init_with_output(jax.random.key(0), *inputs, train=False))


def count(module, *inputs):
    _, variables = shapes(module, *inputs)
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(
    ("gf", "df", "blocks", "stage1", "judge1", "stage2", "judge2"),
    [
        (192, 96, 2, 20_020_832, 12_407_425, 37_130_480, 159_889_538),
        (128, 64, 4, 10_301_248, 5_715_713, 26_290_080, 71_269_122),
    ],
    ids=["coco", "code"],
)
def test_published_numbers_of_parameters(gf, df, blocks, stage1, judge1, stage2, judge2):
    small, large, condition = jnp.zeros((1, 64, 64, 3)), jnp.zeros((1, 256, 256, 3)), NOISE["eps"]
    assert count(Generator(channels=gf), NOISE, SENTENCE) == stage1
    released = dict(channels=df, text_dim=0, join_kernel=3)
    assert count(Discriminator(64, **released), small, condition) == judge1
    second = Stage2Generator(channels=gf, residual_blocks=blocks)
    assert count(second, small, NOISE, SENTENCE) == stage2
    released["unconditional"] = True
    assert count(Discriminator(256, **released), large, condition) == judge2


@pytest.mark.parametrize(("low", "high"), [(64, 128), (64, 256), (32, 64), (16, 32)])
def test_stage_two_enlarges(low, high):
    made, _ = shapes(
        Stage2Generator(high, channels=8), jnp.zeros((1, low, low, 3)), NOISE, SENTENCE
    )
    assert made.images[0].shape == (1, high, high, 3) and made.mu.shape == (1, 128)


def test_stage_two_without_text_sees_the_small_image_alone():
    """Its parameters are the published ones less those of the augmentation (1024 -> 2 * 128, with
    biases) and of the 128 condition channels that the 3x3 join reads at width 512.
    """
    module, small = Stage2Generator(text=False), jnp.zeros((1, 64, 64, 3))
    less = (1024 + 1) * 2 * 128 + 9 * 128 * 512
    assert count(module, small, {}, SENTENCE) == 26_290_080 - less
    assert module.noise_shapes == {}
    made, _ = shapes(module, small, {}, None)
    assert made.images[0].shape == (1, 256, 256, 3) and made.mu is made.logvar is None


@pytest.mark.parametrize("size", [16, 64, 256])
def test_stage_one_alone_draws_any_size(size):
    made, _ = shapes(Generator(size, channels=8), NOISE, SENTENCE)
    assert made.images[0].shape == (1, size, size, 3)


def test_the_papers_discriminator_has_a_text_layer_of_its_own():
    _, variables = shapes(
        Discriminator(16, channels=2, text_dim=7), jnp.zeros((1, 16, 16, 3)), SENTENCE
    )
    assert variables["params"]["text"]["kernel"].shape == (1024, 7)
    assert variables["params"]["join"]["conv"]["kernel"].shape[:2] == (1, 1)


def test_augmentation_draws_from_the_gaussian_of_its_activation():
    sentence, rows = jnp.ones((4000, 3)), 4000
    eps = jax.random.normal(jax.random.key(1), (rows, 2))
    for activation in ("glu", "relu", "leaky_relu"):
        module = ConditioningAugmentation(2, activation, kernel_init=jax.nn.initializers.normal(1))
        (c, mu, logvar), _ = module.init_with_output(jax.random.key(3), sentence, eps)
        np.testing.assert_allclose(c.mean(0), mu[0], atol=0.1)
        np.testing.assert_allclose(c.std(0), jnp.exp(0.5 * logvar[0]), rtol=0.1)
        if activation == "relu":
            assert mu.min() >= 0 and logvar.min() >= 0
    plain = module.clone(augment=False)
    (c, mu, _), _ = plain.init_with_output(jax.random.key(3), sentence, eps)
    np.testing.assert_array_equal(c, mu)


@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        (Generator(48), (NOISE, SENTENCE), "image_size must be a power of two >= 8, got 48"),
        (Generator(channels=1), (NOISE, SENTENCE), "channels=8 must be a multiple of 16"),
        (Generator(activation="elu"), (NOISE, SENTENCE), "activation must be one of"),
        (
            Discriminator(16, join_kernel=2),
            (jnp.zeros((1, 16, 16, 3)), SENTENCE),
            "join_kernel must be 1 or 3, got 2",
        ),
    ],
)
def test_impossible_fields_are_refused(module, inputs, message):
    with pytest.raises(ValueError, match=message):
        shapes(module, *inputs)


IMAGE = jnp.zeros((1, 16, 16, 3))


@pytest.mark.parametrize(
    ("module", "inputs"),
    [
        (Generator(16), (NOISE | {"z": jnp.zeros((1, 99))}, SENTENCE)),
        (Generator(16), (NOISE, jnp.zeros((2, 1024)))),
        (Generator(16), (NOISE, SENTENCE[0])),
        (Stage2Generator(32, channels=8), (IMAGE[:, :8], NOISE, SENTENCE)),
        (Stage2Generator(32, channels=8), (IMAGE, NOISE, jnp.zeros((2, 1024)))),
        (Stage2Generator(32, channels=8), (IMAGE, {"eps": jnp.zeros((1, 1))}, SENTENCE)),
        (Discriminator(16), (IMAGE[..., :1], SENTENCE)),
        (Discriminator(16), (IMAGE, jnp.zeros((2, 1024)))),
        (Discriminator(16), (IMAGE, SENTENCE[:, None])),
    ],
)
def test_inputs_of_other_shapes_are_refused(module, inputs):
    with pytest.raises(AssertionError, match="but expected|different shapes"):
        shapes(module, *inputs)
