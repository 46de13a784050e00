"""GAN-INT-CLS networks: published parameter counts, starting values, shapes and dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.models.gan_int_cls import Discriminator, Generator
from t2i_jax.models.style_encoder import StyleEncoder

SENTENCE = jnp.zeros((2, 1024))


def init(module, *inputs):
    return module.init(jax.random.key(0), *inputs, train=False)


def shapes(module, *inputs):
    return jax.eval_shape(lambda: init(module, *inputs))


def count(module, *inputs):
    params = shapes(module, *inputs)["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("channels", "conv_bias", "expected"),
    [
        (128, False, 18_905_472),
        (128, True, 18_909_699),
        (196, False, 41_101_080),
        (196, True, 41_107_551),
        (64, False, 5_762_304),
        (64, True, 5_764_419),
    ],
)
def test_generator_has_the_published_number_of_parameters(channels, conv_bias, expected):
    module = Generator(channels=channels, conv_bias=conv_bias)
    assert count(module, {"z": jnp.zeros((2, 100))}, SENTENCE) == expected


def test_large_adds_a_second_block_of_each():
    def block(width):  # 1x1, 3x3 and 3x3 convolutions at a quarter of the width; batch norms
        inner = width // 4
        return width * inner + 9 * inner**2 + 9 * inner * width + 2 * (2 * inner + width)

    module = Generator(channels=128, large=True)
    expected = 18_905_472 + block(8 * 128) + block(4 * 128)
    assert count(module, {"z": jnp.zeros((2, 100))}, SENTENCE) == expected


def convolve(x, kernel):
    """[B, H, W, C] and [h, w, C, D], stride 1, zeros around: by NumPy alone."""
    h, w = kernel.shape[:2]
    x = np.pad(x, ((0, 0), (h // 2, h // 2), (w // 2, w // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (h, w), (1, 2))
    return np.einsum("bhwcuv,uvcd->bhwd", windows, kernel)


def test_large_has_no_activation_between_its_blocks():
    """As in the release's COCO script: relu(y + h'(y)), y = x + h(x), in evaluation mode."""
    module = Generator(32, channels=4, text_dim=4, noise_dim=3, large=True)
    noise, sentence = {"z": jax.random.normal(jax.random.key(1), (2, 3))}, jnp.ones((2, 5))
    variables = init(module, noise, sentence)
    # DCGAN's start makes the blocks' branches too small to be seen.
    variables = {**variables, "params": jax.tree.map(lambda p: 10 * p, variables["params"])}
    _, seen = module.apply(
        variables, noise, sentence, False, capture_intermediates=True, mutable="intermediates"
    )
    layers = {k: v["__call__"][0] for k, v in seen["intermediates"].items() if k != "__call__"}

    def branch(name, x):
        params = jax.tree.map(np.asarray, variables["params"][name])
        for i in (1, 2, 3):
            x = convolve(x if i == 1 else np.maximum(x, 0), params[f"conv{i}"]["kernel"])
            x = x * params[f"bn{i}"]["scale"] / np.sqrt(1 + 1e-5) + params[f"bn{i}"]["bias"]
        return x

    for number, resolution in ((1, 4), (2, 8)):
        x = np.asarray(layers[f"bn{number}"])
        y = x + branch(f"res{resolution}", x)
        assert y.min() < 0 and np.abs(y - x).max() > 0.1 * np.abs(x).max()
        tolerance = dict(rtol=0, atol=1e-5 * np.abs(y).max())
        np.testing.assert_allclose(layers[f"res{resolution}"], y, **tolerance)
        expected = np.maximum(y + branch(f"res{resolution}b", y), 0)
        tolerance = dict(rtol=0, atol=1e-5 * expected.max())
        np.testing.assert_allclose(layers[f"res{resolution}b"], expected, **tolerance)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (dict(channels=64), 4_030_080),
        (dict(channels=64, conv_bias=True), 4_032_321),
        (dict(channels=128), 15_563_648),
        (dict(channels=196, variant="cls"), 36_183_440),
        (dict(channels=196, variant="cls", conv_bias=True), 36_190_301),
        (dict(channels=64, variant="cls"), 4_029_824),
        (dict(channels=64, residual=False), 3_225_728),
    ],
)
def test_discriminator_has_the_published_number_of_parameters(fields, expected):
    assert count(Discriminator(**fields), jnp.zeros((2, 64, 64, 3)), SENTENCE) == expected


def test_linear_layers_start_as_torch_starts_them_and_the_rest_as_dcgan():
    module = Generator(channels=16, text_dim=64, noise_dim=8)
    params = jax.jit(lambda: init(module, {"z": jnp.zeros((2, 8))}, SENTENCE)["params"])()
    for leaf in params["fc"].values():
        bound = 1 / 32  # 1 / sqrt(1024)
        assert np.abs(leaf).max() <= bound
        assert np.std(leaf) == pytest.approx(bound / np.sqrt(3), rel=0.2)
    assert np.std(params["deconv1"]["kernel"]) == pytest.approx(0.02, rel=0.05)
    assert np.std(params["deconv2"]["kernel"]) == pytest.approx(0.02, rel=0.05)
    assert np.std(params["res4"]["conv2"]["kernel"]) == pytest.approx(0.02, rel=0.05)
    scales = np.concatenate([params["bn1"]["scale"], params["res4"]["bn3"]["scale"]])
    assert np.mean(scales) == pytest.approx(1.0, abs=0.01)
    assert np.std(scales) == pytest.approx(0.02, rel=0.2)
    assert not np.any(params["bn1"]["bias"])


@pytest.mark.parametrize("image_size", [32, 128])
def test_other_sizes_keep_the_published_stages(image_size):
    noise, sentence = {"z": jnp.zeros((2, 3))}, jnp.zeros((2, 5))
    g = Generator(image_size, channels=4, text_dim=4, noise_dim=3)
    d = Discriminator(image_size, channels=4, text_dim=4)
    (images,), _ = jax.eval_shape(
        lambda: g.init_with_output(jax.random.key(0), noise, sentence, False)
    )
    assert images.shape == (2, image_size, image_size, 3)
    logits, d_vars = jax.eval_shape(
        lambda x: d.init_with_output(jax.random.key(0), x, sentence, False), images
    )
    assert logits.shape == (2,)
    published = shapes(Generator(64, 4, 4, 3), noise, sentence)["params"]
    ours = shapes(g, noise, sentence)["params"]
    same = ["fc", "deconv1", "bn1", "res4", "deconv2", "bn2", "res8", "deconv3", "bn3"]
    assert all(ours[name] == published[name] for name in same)
    stages = {32: 3, 64: 4, 128: 5}[image_size]
    assert f"deconv{stages + 1}" in ours and f"deconv{stages + 2}" not in ours
    assert {f"conv{stages + 1}", f"conv{stages + 2}"} <= d_vars["params"]["join"].keys()


@pytest.mark.parametrize("name", ["generator", "discriminator", "style_encoder"])
def test_bfloat16_computes_near_float32_with_float32_parameters_and_results(name):
    noise, sentence, images = (
        jax.random.normal(jax.random.key(0), shape) for shape in [(2, 3), (2, 5), (2, 32, 32, 3)]
    )
    module, inputs = {
        "generator": (Generator(32, 4, 4, 3), ({"z": noise}, sentence)),
        "discriminator": (Discriminator(32, 4, 4), (images, sentence)),
        "style_encoder": (StyleEncoder(32, 4, 3), (images,)),
    }[name]
    half = module.clone(dtype=jnp.bfloat16)

    @jax.jit
    def run():
        variables = init(half, *inputs)
        return variables, *(m.apply(variables, *inputs, train=False) for m in (module, half))

    variables, *made = run()
    full, rounded = (jax.tree.leaves(x)[0] for x in made)
    assert rounded.dtype == jnp.float32
    assert not np.array_equal(full, rounded)
    np.testing.assert_allclose(rounded, full, atol=0.05 * float(np.abs(full).max()))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_impossible_fields_are_refused():
    noise, sentence = {"z": jnp.zeros((1, 3))}, jnp.zeros((1, 5))
    with pytest.raises(ValueError, match="power of two >= 32, got 48"):
        shapes(Generator(48, 4, 4, 3), noise, sentence)
    with pytest.raises(ValueError, match="variant must be one of"):
        shapes(Discriminator(32, 4, 4, variant="coco"), jnp.zeros((1, 32, 32, 3)), sentence)
    with pytest.raises(ValueError, match="built for 32 px"):
        shapes(Discriminator(32, 4, 4), jnp.zeros((1, 64, 64, 3)), sentence)


def test_inputs_of_other_shapes_are_refused():
    z, sentence, images = jnp.zeros((2, 3)), jnp.zeros((2, 5)), jnp.zeros((2, 32, 32, 3))
    generator, discriminator = Generator(32, 4, 4, 3), Discriminator(32, 4, 4)
    for module, inputs in (
        (generator, ({"z": z[:, :2]}, sentence)),
        (generator, ({"z": z[:1]}, sentence)),
        (generator, ({"z": z}, sentence[:, None])),
        (discriminator, (images[..., :1], sentence)),
        (discriminator, (images, sentence[:1])),
        (discriminator, (images, sentence[:, None])),
        (StyleEncoder(32, 4, 3), (images[0],)),
    ):
        with pytest.raises(AssertionError, match="but expected|different shapes"):
            shapes(module, *inputs)
