"""Extractors of pixels against area averages by hand, of runs against the networks themselves."""

import cv2
import jax
import numpy as np
import pytest
from tiny_runs import gan_run, style_run

from t2i_jax.data.toy_birds import ATTRIBUTES
from t2i_jax.evaluation.extractors import pixels, registry
from t2i_jax.evaluation.extractors.base import EMBEDDING
from t2i_jax.training import modules, runs

from ..tiny_subjects import encoder_run


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 16])
def test_pixels_are_area_averages(factor):
    side = 16 * factor
    images = np.random.default_rng(factor).integers(0, 256, (3, side, side, 3), np.uint8)
    blocks = images.reshape(3, 16, factor, 16, factor, 3).astype(np.float64)
    expected = blocks.mean(axis=(2, 4)).reshape(3, -1) / 255
    vectors = registry.load("pixels16").extract(images)[EMBEDDING]
    assert vectors.shape == (3, 768) and vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_pixels_of_uneven_sizes_keep_the_mean():
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 76, 3), np.uint8)
    means = pixels.vectors(images).reshape(2, 256, 3).mean(axis=1) * 255
    np.testing.assert_allclose(means, images.mean(axis=(1, 2)), rtol=1e-4)


@pytest.mark.parametrize("batch_size", [2, 8])
def test_the_image_network_of_a_text_encoders_run(tmp_path, batch_size):
    workdir = encoder_run(tmp_path / "encoder")
    config, ema = runs.load_ema(workdir)
    net = modules.make_recipe(config).image
    variables = {
        "params": ema["params"]["net"]["image"],
        "batch_stats": ema["stats"]["net"]["batch_stats"]["image"],
    }
    size = config.data.size
    assert size != 64
    large = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    small = [cv2.resize(x, (size, size), interpolation=cv2.INTER_LINEAR) for x in large]
    apply = jax.jit(lambda x: net.apply(variables, x, train=False))
    loaded = registry.load(workdir, batch_size=batch_size)
    assert loaded.name == "char_cnn_rnn" and f"step 1, at {size} px" in loaded.description
    for images, seen in ((large, np.stack(small)), (seen_at(size), seen_at(size))):
        expected = apply(seen / np.float32(127.5) - 1)
        np.testing.assert_allclose(
            loaded.extract(images)[EMBEDDING], expected, rtol=1e-4, atol=1e-5
        )


def seen_at(size: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, size, size, 3), np.uint8)


def test_the_network_of_a_style_encoder(tmp_path):
    workdir = style_run(tmp_path / "style")
    config, ema = runs.load_ema(workdir)
    net = modules.make_recipe(config, {"generator": None}).net
    variables = {"params": ema["params"]["net"], **ema["stats"]["net"]}
    images = seen_at(net.image_size)
    loaded = registry.load(workdir)
    expected = jax.jit(lambda x: net.apply(variables, x, train=False))(
        images / np.float32(127.5) - 1
    )
    np.testing.assert_allclose(loaded.extract(images)[EMBEDDING], expected, rtol=1e-4, atol=1e-5)


def test_a_classifier_of_attributes_has_the_logits_of_each(tmp_path):
    workdir = encoder_run(tmp_path / "reader", system="toy_attributes")
    loaded = registry.load(workdir)
    assert set(loaded.widths) == {EMBEDDING, *ATTRIBUTES}
    assert all(loaded.widths[name] == len(values) for name, values in ATTRIBUTES.items())
    found = loaded.extract(seen_at(runs.read_config(workdir).data.size))
    together = np.concatenate([found[name] for name in ATTRIBUTES], axis=1)
    np.testing.assert_array_equal(together, found[EMBEDDING])


def test_a_digest_tells_networks_apart(tmp_path):
    one, again = (registry.load(encoder_run(tmp_path / name)) for name in "ab")
    other = registry.load(encoder_run(tmp_path / "c", "image.widths=(4, 8)"))
    assert one.digest == again.digest != other.digest
    assert one.digest != registry.load("pixels16").digest


def test_no_images_are_no_vectors(tmp_path):
    nothing = np.zeros((0, 20, 20, 3), np.uint8)
    for source in ("pixels16", encoder_run(tmp_path / "encoder")):
        loaded = registry.load(source)
        for layer, vectors in loaded.extract(nothing).items():
            assert vectors.shape == (0, loaded.widths[layer])


def test_what_has_no_image_network(tmp_path):
    with pytest.raises(ValueError, match="neither 'pixels16', .* nor the run directory"):
        registry.load("pixels")
    with pytest.raises(ValueError, match="trained 'gan_int_cls' and has no part 'image'"):
        registry.load(gan_run(tmp_path / "gan"))
    on_captions = encoder_run(tmp_path / "captions", "recipe.pairs=captions")
    with pytest.raises(ValueError, match="run of 'char_cnn_rnn' trained no 'image'"):
        registry.load(on_captions)
    with pytest.raises(ValueError, match="the part 'text' reads captions, not images"):
        registry.load(f"{on_captions}:text")
    with pytest.raises(ValueError, match="'pixels16' reads no file of weights"):
        registry.load("pixels16", weights="x.pth")
