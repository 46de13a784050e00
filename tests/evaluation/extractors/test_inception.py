"""The Inception of 2015 from a file to its features, against torch-fidelity's numbers."""

import inception_weights
import numpy as np
import pth_files
import pytest

from t2i_jax.evaluation.extractors import registry

LAYERS = ("64", "192", "768", "2048", "logits_unbiased", "logits")


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    state = inception_weights.state_dict()
    path = pth_files.write(tmp_path_factory.mktemp("weights") / "resaved.pth", state)
    return registry.load("inception_2015", path, batch_size=2)


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "inception_fid.npz") as arrays:
        return dict(arrays)


def test_features_and_logits(extractor, golden):
    found = extractor.extract(golden["images"])
    assert set(found) == set(LAYERS) == set(extractor.widths)
    for layer in LAYERS:
        expected = golden[f"feat.{layer}"]
        assert found[layer].shape == (2, extractor.widths[layer]) == expected.shape
        error = np.abs(found[layer] - expected).max() / np.abs(expected).max()
        assert error < 5e-6, f"{layer}: {error}"


def test_other_sizes_and_batches(extractor, golden):
    """Images of another size take the same network; enlarged by a whole factor where TensorFlow 1
    reads every new pixel from an old one, they are the same images.
    """
    side = 299
    images = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    whole = extractor.extract(images)
    double = extractor.extract(images.repeat(2, axis=1).repeat(2, axis=2))
    for layer in LAYERS:
        np.testing.assert_allclose(double[layer], whole[layer], rtol=1e-5, atol=1e-5)
    last = extractor.extract(images[2:])
    np.testing.assert_allclose(last["2048"], whole["2048"][2:], rtol=1e-5, atol=1e-5)


def test_what_it_says(extractor):
    assert "resaved.pth, SHA-256 " in extractor.description
    assert "published" not in extractor.description
    assert "TensorFlow 1" in extractor.preprocessing and len(extractor.digest) == 64
