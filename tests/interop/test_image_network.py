"""Published networks of images: torchvision's VGG by names and numbers, XMC-GAN's ResNet-50 in a
pickle (its numbers: tests/parity), and refused files.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pth_files
import pytest
from flax.traverse_util import flatten_dict

from t2i_jax.data.pickles import PickleRefused, load_object_array
from t2i_jax.encoders.resnet_50 import ResNet50
from t2i_jax.encoders.vgg import Vgg
from t2i_jax.interop import image_network
from t2i_jax.interop.image_network import export_vgg, import_vgg, import_vgg_fc2
from t2i_jax.training import networks

KEY = jax.random.key(0)
# Where torchvision's networks have convolutions, in its documentation.
PLACES = {
    16: (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    19: (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}


def drawn(module, seed=0):
    shapes = jax.eval_shape(lambda: module.init(KEY, jnp.zeros((1, 32, 32, 3)), train=False))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: 0.05 * rng.normal(size=x.shape).astype(np.float32), shapes)


@pytest.mark.parametrize("depth", PLACES)
def test_vgg_both_ways_under_torchvisions_names(depth):
    variables = drawn(Vgg(depth))
    state = export_vgg(Vgg(depth), variables)
    names = [f"features.{i}.{leaf}" for i in PLACES[depth] for leaf in ("weight", "bias")]
    assert set(state) == set(names)
    assert state["features.2.weight"].shape == (64, 64, 3, 3)
    module, found = import_vgg({**state, "classifier.6.bias": np.zeros(1000)})
    assert module == Vgg(depth)
    jax.tree.map(np.testing.assert_array_equal, found, variables)


def test_vgg_from_a_file_up_to_a_layer(tmp_path):
    variables = drawn(Vgg(16))
    path = pth_files.write(tmp_path / "vgg16.pth", export_vgg(Vgg(16), variables))
    network = networks.resolve("frozen.image_network", f"{path}:relu2_1", "image")
    module, found = network.module, network.variables
    assert module == Vgg(16, "relu2_1")
    assert set(found["params"]) == {"conv1_1", "conv1_2", "conv2_1"}
    small = module.clone(image_size=8)
    images = np.random.default_rng(1).uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    vector = small.apply(found, images, train=False)
    np.testing.assert_allclose(vector, by_hand(images, export_vgg(module, found)), rtol=1e-4)


def test_the_linear_layers_read_the_last_map_as_torchvision_does():
    """Outputs that pick one channel at one position each, by PyTorch's order of flattening."""
    state = export_vgg(Vgg(16), drawn(Vgg(16)))
    picked = [(0, 0, 0), (3, 0, 1), (511, 6, 6), (100, 2, 5)]  # channel, row, column
    rows = np.zeros((4, 512, 7, 7), np.float32)
    for row, place in zip(rows, picked, strict=True):
        row[place] = 1
    state |= {
        "classifier.0.weight": rows.reshape(4, -1),
        "classifier.0.bias": np.zeros(4, np.float32),
        "classifier.3.weight": np.eye(4, dtype=np.float32),
        "classifier.3.bias": np.float32([0, 0, 0, -100]),
        "classifier.6.bias": np.zeros(1000, np.float32),
    }
    module, variables = import_vgg_fc2(state)
    images = np.random.default_rng(2).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    found, seen = module.apply(
        variables,
        images,
        False,
        mutable=["intermediates"],
        capture_intermediates=lambda part, _: part.name == "conv5_3",
    )
    last = np.maximum(seen["intermediates"]["conv5_3"]["__call__"][0], 0)
    pooled = last.reshape(7, 2, 7, 2, 512).max(axis=(1, 3))
    expected = np.array([pooled[y, x, c] for c, y, x in picked]) - [0, 0, 0, 100]
    assert (expected[:3] > 0).any()
    np.testing.assert_allclose(found["fc2"][0], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["fc2_relu"], np.maximum(found["fc2"], 0))
    with pytest.raises(ValueError, match="VGG-16: classifier.3.weight is missing"):
        import_vgg_fc2({k: v for k, v in state.items() if k != "classifier.3.weight"})


def by_hand(images, state):
    """Three of torchvision's convolutions, with a pool after two, in float64: [B, C]."""
    pixels = (images.astype(float) + 1) / 2
    x = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    for name in ("features.0", "features.2", "features.5"):
        if name == "features.5":
            b, h, w, c = x.shape
            x = x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        x = np.einsum("bhwikl,oikl->bhwo", windows, state[f"{name}.weight"])
        x = np.maximum(x + state[f"{name}.bias"], 0)
    return x.mean(axis=(1, 2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((11,), "depth must be one of 16, 19, got 11"),
        ((19, "conv5_4"), "layer must be one of '', 'relu1_1'.*'relu5_4', got 'conv5_4'"),
    ],
)
def test_impossible_networks_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        drawn(Vgg(*fields))


def test_the_releases_resnet_from_its_pickle(tmp_path):
    variables = drawn(ResNet50())
    np.save(tmp_path / "resnet.npy", np.array(variables, object), allow_pickle=True)
    module, found = image_network.load(tmp_path / "resnet.npy")
    assert module == ResNet50()
    jax.tree.map(np.testing.assert_array_equal, found, variables)
    flat = flatten_dict(variables, sep="/")
    assert flat["params/stage2/block1/proj_conv/kernel"].shape == (1, 1, 256, 512)
    cut = {"params": {"head": variables["params"]["head"]}}
    np.save(tmp_path / "cut.npy", np.array(cut, object), allow_pickle=True)
    with pytest.raises(ValueError, match="cut.npy.*batch_stats/init_bn/mean is missing"):
        image_network.load(tmp_path / "cut.npy")


def test_pickles_that_are_more_than_arrays_are_refused(tmp_path):
    np.save(tmp_path / "code.npy", np.array({"a": pytest.raises}, object), allow_pickle=True)
    with pytest.raises(PickleRefused, match="this pickle asks for"):
        load_object_array(tmp_path / "code.npy")
    np.save(tmp_path / "plain.npy", np.zeros(3))
    with pytest.raises(PickleRefused, match=r"an array of float64 \(3,\), not one object"):
        load_object_array(tmp_path / "plain.npy")
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(PickleRefused, match="not a .npy file"):
        load_object_array(tmp_path / "text.npy")


def test_other_networks_are_refused(tmp_path):
    path = pth_files.write(tmp_path / "x.pth", {"fc.weight": np.zeros((2, 2), np.float32)})
    with pytest.raises(ValueError, match="x.pth: neither VGG-16, VGG-19 nor EfficientNet-Lite0"):
        image_network.load(path)
    state = export_vgg(Vgg(16), drawn(Vgg(16)))
    del state["features.28.weight"]
    with pytest.raises(ValueError, match="12 convolutions: VGG-16 has 13"):
        import_vgg(state)
