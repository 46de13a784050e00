"""Resizing against Pillow, PyTorch and TensorFlow 1: numbers that they gave."""

import numpy as np
import pytest

from t2i_jax.evaluation.extractors import resizing

CASES = ("up", "down", "mixed")


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "metrics.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name.startswith("resize.")}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("resize", "name", "tolerance"),
    [
        (resizing.tensorflow_1, "tf1_bilinear", 0),
        (resizing.half_pixel, "torch_bilinear_half_pixel", 1e-3),
        (resizing.bicubic, "pil_bicubic_f32", 1e-3),
        (resizing.pillow_bilinear, "pil_bilinear_u8", 0),
    ],
)
def test_as_the_reference_does(golden, case, resize, name, tolerance):
    images = np.stack([golden[f"resize.{case}.image"]] * 2)
    expected = golden[f"resize.{case}.{name}"]
    found = np.asarray(resize(images, len(expected)))
    assert found.dtype == expected.dtype and found.shape == (2, *expected.shape)
    if name == "pil_bicubic_f32":  # Pillow leaves overshoots, which this way cuts
        expected = np.clip(expected, 0, 255)
    for image in found:
        np.testing.assert_allclose(image, expected, rtol=0, atol=tolerance)


TO_299 = {name: way for name, way in resizing.PREPROCESSINGS.items() if name != "tf1_224"}


@pytest.mark.parametrize("name", TO_299)
def test_of_images_of_the_right_size_only_the_scale_changes(name):
    side = resizing.SIDE
    levels = np.arange(256, dtype=np.uint8).repeat(4)
    images = np.resize(levels, (1, side, side, 3))
    found = np.asarray(TO_299[name](images))
    v = images.astype(np.float64)
    if name == "torchvision_t2i":  # what the release's transform does, in its two steps
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        expected = (v / 255 * std + mean - 0.5) / 0.5
        assert found[..., 0].min() == pytest.approx(-0.03)
        assert found[..., 0].max() == pytest.approx(0.428)
    else:
        expected = (v - 128) / 128 if name in ("tf1", "clean") else v / 127.5 - 1
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_five_ways_differ():
    images = np.random.default_rng(0).integers(0, 256, (1, 700, 700, 3), np.uint8)
    seen = {name: np.asarray(way(images)) for name, way in TO_299.items()}
    assert len({way.words for way in TO_299.values()}) == len(seen)
    names = list(seen)
    for i, name in enumerate(names):
        for other in names[:i]:
            assert np.abs(seen[name] - seen[other]).max() > 0.05, (name, other)
    assert all(x.shape == (1, 299, 299, 3) and x.dtype == np.float32 for x in seen.values())
