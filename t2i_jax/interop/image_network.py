"""Published networks of images that give a vector, for losses that compare images by them:
``frozen.image_network=FILE`` reads

    torchvision's VGG-16 or VGG-19        vgg19-dcbb9e9d.pth, its classifier is passed over;
                                          vgg19-dcbb9e9d.pth:relu4_4 up to another layer
    XMC-GAN's ResNet-50                   resnet_pretrained.npy (see `t2i_jax.encoders.resnet_50`)
    EfficientNet-Lite0                    of ``launch/fetch_weights.sh``
"""

import functools
import os
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from t2i_jax.data import pickles
from t2i_jax.encoders.resnet_50 import ResNet50
from t2i_jax.encoders.vgg import CONVS, FC2_SIDE, WIDTHS, Vgg, VggFc2
from t2i_jax.interop import efficientnet_lite0, files
from t2i_jax.interop.published import check, checked_variables, empty
from t2i_jax.interop.state_dict import Layers, StateDict, clean, to_state_dict

_SMALLEST = 32  # pixels, enough for the shapes of any of them


def vgg_layers(vgg: Vgg) -> Layers:
    """torchvision's names of the convolutions and ours."""
    names, number = {}, 0
    for block, conv in vgg.layers:
        if conv == 1 and block > 1:
            number += 1  # a pool
        names[f"features.{number}"] = (f"conv{block}_{conv}",)
        number += 2  # a convolution and a ReLU
    return names


def import_vgg(state: Mapping[str, np.ndarray], layer: str = "") -> tuple[Vgg, dict[str, Any]]:
    """(module, variables) of torchvision's state dict of VGG-16 or VGG-19, up to `layer`.

    Raises ValueError that names arrays missing, unknown, misshapen or not finite.
    """
    state = {k: v for k, v in clean(state).items() if not k.startswith("classifier.")}
    convs = sum(name.endswith(".weight") for name in state)
    depth = next((depth for depth, counts in CONVS.items() if sum(counts) == convs), None)
    if depth is None:
        raise ValueError(f"{convs} convolutions: VGG-16 has 13 and VGG-19 has 16")
    whole = Vgg(depth)
    checked_variables(state, vgg_layers(whole), whole, _SMALLEST, f"VGG-{depth}")
    module = Vgg(depth, layer)
    names = vgg_layers(module)
    kept = {k: v for k, v in state.items() if k.rpartition(".")[0] in names}
    return module, checked_variables(kept, names, module, _SMALLEST, f"VGG-{depth}")


def import_vgg_fc2(state: Mapping[str, np.ndarray]) -> tuple[VggFc2, dict[str, Any]]:
    """The same of VGG-16 with the first two linear layers; the third is passed over."""
    state = {k: v for k, v in clean(state).items() if not k.startswith("classifier.6.")}
    module = VggFc2(len(state.get("classifier.3.bias", (0,))))
    layers = {**vgg_layers(Vgg(16)), "classifier.0": ("fc1",), "classifier.3": ("fc2",)}
    variables = checked_variables(state, layers, module, FC2_SIDE, "VGG-16")
    fc1 = variables["params"]["fc1"]
    # PyTorch reads the last map channel by channel, we read it position by position.
    side, channels = FC2_SIDE // 2 ** len(WIDTHS), WIDTHS[-1]
    kernel = fc1["kernel"].reshape(channels, side, side, -1).transpose(1, 2, 0, 3)
    fc1["kernel"] = kernel.reshape(fc1["kernel"].shape)
    return module, variables


def export_vgg(vgg: Vgg, variables: Mapping[str, Any]) -> StateDict:
    """The inverse of `import_vgg`."""
    return to_state_dict(variables, vgg_layers(vgg))


def import_resnet_50(tree: Mapping[str, Any]) -> tuple[ResNet50, dict[str, Any]]:
    """(module, variables) of ``{"params": ..., "batch_stats": ...}`` with XMC-GAN's names."""
    module = ResNet50()
    images = jnp.zeros((1, _SMALLEST, _SMALLEST, 3))
    like = flatten_dict(empty(lambda: module.init(jax.random.key(0), images, False)), sep="/")
    found = flatten_dict(tree, sep="/") if isinstance(tree, Mapping) else {}
    found = {name: np.asarray(array) for name, array in found.items()}
    check(found, {name: array.shape for name, array in like.items()}, "XMC-GAN's ResNet-50")
    return module, jax.tree.map(lambda x: np.asarray(x, np.float32), dict(tree))


def load(path: files.Path, layer: str = "") -> tuple[nn.Module, dict[str, Any]]:
    """Whichever network a file holds. layer: of a VGG, see `Vgg`; "": the last."""
    if os.fspath(path).endswith(".npy"):
        return files.named(path, import_resnet_50, pickles.load_object_array(path))
    state = files.load_state_dict(path)

    def read(state: StateDict) -> tuple[nn.Module, dict[str, Any]]:
        names = clean(state)
        if "_conv_stem.weight" in names:
            if layer:
                raise ValueError(f"EfficientNet-Lite0 has no layer {layer!r}; name the file alone")
            return efficientnet_lite0.import_state(state)
        if "features.0.weight" in names:
            return import_vgg(state, layer)
        raise ValueError("neither VGG-16, VGG-19 nor EfficientNet-Lite0")

    return files.named(path, read, state)


_RELUS = [f"relu{block}_{conv}" for block, conv in Vgg(19).layers]
PARTS = {"image": load, **{name: functools.partial(load, layer=name) for name in _RELUS}}
