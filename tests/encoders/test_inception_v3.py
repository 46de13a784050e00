"""Inception-v3: its layout by published counts, its numbers by those of another library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from t2i_jax.encoders.inception_v3 import (
    BLOCKS,
    InceptionV3,
    average_pool,
    resize_bilinear,
    unit_names,
)
from t2i_jax.interop import inception_v3 as interop

from .photos import photo, weights


@pytest.fixture(scope="module")
def layout():
    """Shapes of variables and of what the blocks give."""

    def run(key):
        return InceptionV3().init_with_output(key, jnp.zeros((2, 299, 299, 3)), False)

    return jax.eval_shape(run, jax.random.key(0))


def test_parameter_count_and_sides(layout):
    outputs, variables = layout
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == 21_785_568
    shapes = {name: outputs[name].shape[1:] for name in BLOCKS}
    assert shapes["Mixed_5b"] == (35, 35, 256) and shapes["Mixed_5d"] == (35, 35, 288)
    assert {shapes[f"Mixed_6{i}"] for i in "abcde"} == {(17, 17, 768)}
    assert shapes["Mixed_7a"] == (8, 8, 1280) and shapes["Mixed_7c"] == (8, 8, 2048)
    assert len(unit_names()) == 94 and len(unit_names("mixed5")) == 50


def test_a_last_block_under_either_name():
    def run(last):
        net = InceptionV3(last=last)
        return jax.eval_shape(
            lambda key: net.init_with_output(key, jnp.zeros((1, 75, 75, 3)), False),
            jax.random.key(0),
        )

    assert run("mixed5") == run("Mixed_6c")
    outputs, variables = run("mixed5")
    assert "Mixed_6d" not in outputs and "Mixed_6d" not in variables["params"]
    with pytest.raises(ValueError, match="no block 'mixed11'; its blocks are Mixed_5b"):
        run("mixed11")


def test_small_images_are_refused():
    with pytest.raises(ValueError, match=r"75x75 at least .* not \(74, 80\)"):
        InceptionV3().init(jax.random.key(0), jnp.zeros((1, 74, 80, 3)), False)


def test_average_pool_with_and_without_padding():
    ones = jnp.ones((1, 3, 4, 1))
    np.testing.assert_allclose(average_pool(ones, False), 1.0, rtol=1e-6)
    edge, corner = 6 / 9, 4 / 9
    expected = np.ones((3, 4))
    expected[[0, -1]] = edge
    expected[:, [0, -1]] = edge
    expected[np.ix_([0, -1], [0, -1])] = corner
    np.testing.assert_allclose(average_pool(ones, True)[0, :, :, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("size", [7, 31])
def test_resize_against_scipy(size):
    image = np.random.default_rng(0).normal(size=(1, 13, 10, 2)).astype(np.float32)
    found = resize_bilinear(image, size)
    zoom = (1, size / 13, size / 10, 1)
    expected = ndimage.zoom(image, zoom, order=1, grid_mode=False)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert resize_bilinear(found, size) is found


@pytest.mark.weights
def test_published_weights_against_tensorflow_js(golden_dir, monkeypatch):
    """All blocks of nsfwjs 4.4.0, those that we do not offer too, as TensorFlow.js 4.22.0 runs it
    on a picture of waves in [0, 1].
    """
    monkeypatch.setattr(interop, "_NSFWJS_LAST", "mixed10")
    module, variables = interop.load_nsfwjs(weights("nsfwjs"))
    y, x, c = np.mgrid[:299, :299, :3]
    waves = (0.5 + 0.5 * np.sin(0.05 * (c + 1) * x + 0.03 * (3 - c) * y)).astype(np.float32)
    outputs = jax.jit(lambda x: module.apply(variables, x, False))(2.0 * waves[None] - 1.0)
    with np.load(golden_dir / "nsfwjs_inception_v3.npz") as golden:
        for name in ("mixed2", "mixed5", "mixed10"):
            found = np.asarray(outputs[name][0])
            channels, positions = found.mean(axis=(0, 1)), found.mean(axis=2)
            np.testing.assert_allclose(channels, golden[f"{name}/channels"], atol=1e-4)
            np.testing.assert_allclose(positions, golden[f"{name}/positions"], atol=1e-4)


@pytest.mark.weights
def test_features_of_photos(shared_data):
    """Photographs have the statistics that the first batch norm expects, which they have not where
    their range is another; and two birds are nearer than a bird and a bus.
    """
    module, variables = interop.load_nsfwjs(weights("nsfwjs"))
    birds = sorted((shared_data / "cub/CUB_200_2011/images").glob("001*/*.jpg"))[:4]
    buses = [shared_data / f"coco/val2017/000000{i}.jpg" for i in ("001584", "002006", "005037")]
    images = np.stack([photo(path, 299) for path in (*birds, *buses)])

    def run(x):
        maps, seen = module.apply(
            variables,
            x,
            False,
            mutable=["intermediates"],
            capture_intermediates=lambda part, _: part.name == "conv",
        )
        first = seen["intermediates"]["Conv2d_1a_3x3"]["conv"]["__call__"][0]
        return maps["mixed5"], first.mean(axis=(0, 1, 2))

    maps, means = jax.jit(run)(images)
    assert maps.shape == (7, 17, 17, 768) and np.isfinite(maps).all()
    stored = variables["batch_stats"]["Conv2d_1a_3x3"]["bn"]
    deviation = np.abs(means - stored["mean"]) / np.sqrt(stored["var"] + 1e-3)
    assert deviation.mean() < 0.5
    vectors = maps.mean(axis=(1, 2))
    vectors = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    cosines = vectors @ vectors.T
    alike = [cosines[i, j] for i in range(7) for j in range(i) if (i < 4) == (j < 4)]
    assert min(alike) > cosines[:4, 4:].max()
