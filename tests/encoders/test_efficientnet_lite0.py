"""EfficientNet-Lite0 with its published weights on photographs whose content was looked at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.encoders import efficientnet_lite0
from t2i_jax.encoders.efficientnet_lite0 import EfficientNetLite0
from t2i_jax.interop import pytorch_legacy
from t2i_jax.interop.efficientnet_lite0 import import_state

from .photos import photo, weights

BIRD = "cub/CUB_200_2011/images/001.Black_footed_Albatross/Black_Footed_Albatross_0001_796111.jpg"
# What they show, as classes of ImageNet.
PHOTOS = {
    "coco/val2017/000000000285.jpg": 294,  # brown bear
    "coco/val2017/000000000776.jpg": 850,  # teddy bears
    "coco/val2017/000000000802.jpg": 760,  # a kitchen with a refrigerator
    "coco/val2017/000000002592.jpg": 504,  # a coffee mug
    "coco/val2017/000000003661.jpg": 954,  # bananas
    "coco/val2017/000000003934.jpg": 831,  # a family at a couch
    "coco/val2017/000000005477.jpg": 404,  # an airliner
    BIRD: 146,  # an albatross
}


@pytest.fixture(scope="module")
def network():
    folder = weights("efficientnet_lite0")
    return import_state(pytorch_legacy.load(folder / "efficientnet-lite0-57934424.pth"))


@pytest.fixture(scope="module")
def images(shared_data):
    return np.stack([photo(shared_data / path, 224) for path in PHOTOS])


def classify(network, images):
    module, variables = network
    return jax.jit(lambda x: module.apply(variables, x, False))(images)


@pytest.mark.weights
def test_photos_are_what_they_show(network, images):
    found = classify(network, images)
    assert found.features.shape == (8, 1280) and found.logits.shape == (8, 1000)
    assert found.logits.argmax(axis=1).tolist() == list(PHOTOS.values())


@pytest.mark.weights
def test_padding_both_sides_alike_is_another_network(network, images, monkeypatch):
    conv = efficientnet_lite0.nn.Conv

    def symmetric(features, kernel, stride, padding, **options):
        both = [(side // 2, side // 2) for side in kernel]
        return conv(features, kernel, stride, padding=both, **options)

    monkeypatch.setattr(efficientnet_lite0.nn, "Conv", symmetric)
    classes = np.asarray(classify(network, images).logits.argmax(axis=1))
    wrong = {path for path, c in zip(PHOTOS, classes, strict=True) if c != PHOTOS[path]}
    assert wrong == {"coco/val2017/000000000802.jpg", "coco/val2017/000000003934.jpg"}


def test_parameter_count():
    """4,652,008 of the published network and the running statistics of 49 batch norms."""
    module = EfficientNetLite0()
    variables = jax.eval_shape(
        lambda key: module.init(key, jnp.zeros((1, 224, 224, 3)), False), jax.random.key(0)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == 4_652_008
    assert len(jax.tree.leaves(variables["batch_stats"])) == 2 * 49
