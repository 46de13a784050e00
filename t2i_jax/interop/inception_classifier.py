"""Weights of `t2i_jax.encoders.inception_classifier`, as those who trained them publish them:

    graph of 2015   its PyTorch port's state dict (pytorch-fid, torch-fidelity), or the graph itself
    torchvision     the state dict of ``inception_v3``
    Keras           the arrays of ``inception_v3_weights_tf_dim_ordering_tf_kernels.h5``
    TF-slim         a checkpoint of the training with birds or flowers of StackGAN's authors

Every array is checked: its name, shape, finite values, variances above 0. The weights of one of
these given for another's are refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from t2i_jax.encoders.inception_classifier import InceptionClassifier
from t2i_jax.encoders.inception_v3 import SMALLEST_SIDE, unit_names
from t2i_jax.interop import inception_v3
from t2i_jax.interop.inception_names import from_one, graph_scope, slim_scope
from t2i_jax.interop.inception_v3 import Places, from_tensorflow, unit_places
from t2i_jax.interop.published import check_positive, checked_variables
from t2i_jax.interop.state_dict import Layers, StateDict, clean, to_state_dict

Loaded = tuple[InceptionClassifier, dict[str, Any]]
Arrays = Mapping[str, np.ndarray]

_TRUNK = ("inception",)
_AUXILIARY = "AuxLogits."
_AVERAGE = "/ExponentialMovingAverage"


def layers() -> Layers:
    """PyTorch's names of the layers and ours."""
    return {**inception_v3.layers(path=_TRUNK), "fc": ("fc",)}


def import_2015(state: Arrays) -> Loaded:
    """The state dict of the graph of 2015 as pytorch-fid and torch-fidelity have it.

    Raises ValueError that names arrays missing, unknown, misshapen or not finite; for torchvision's
    state dict too.
    """
    state, what = clean(state), "the Inception of 2015"
    if _classes(state) == 1000 or any(name.startswith(_AUXILIARY) for name in state):
        raise ValueError(
            f"these are torchvision's weights (AuxLogits, or 1000 classes), not {what}, which has "
            "1008 classes: a distance measured with them is not the FID. The right ones are in "
            "pt_inception-2015-12-05-6726825d.pth of pytorch-fid"
        )
    return _of_state(state, InceptionClassifier(), what)


def import_torchvision(state: Arrays) -> Loaded:
    """torchvision's state dict; its auxiliary classifier is passed over. Raises as `import_2015`,
    for whose state dict too.
    """
    state, what = clean(state), "torchvision's Inception-v3"
    if _classes(state) == 1008:
        raise ValueError(
            f"these are the weights of the Inception of 2015 (1008 classes), not {what}, which has "
            "1000 classes. The right ones are in inception_v3_google-0cc3c7bd.pth of torchvision"
        )
    state = {name: array for name, array in state.items() if not name.startswith(_AUXILIARY)}
    module = InceptionClassifier(1000, pool_counts_padding=True, max_pool_last=False)
    return _of_state(state, module, what)


def export(variables: Mapping[str, Any], counts: bool = False) -> StateDict:
    """PyTorch's names and axes: the inverse of the two above.

    counts: with the `num_batches_tracked` that current PyTorch asks for.
    """
    return to_state_dict(variables, layers(), counts)


def import_graph(constants: Arrays) -> Loaded:
    """The constants of ``classify_image_graph_def.pb``, of which many are no weights.

    Raises ValueError as `import_2015`, but for unknown arrays.
    """
    places = _places(
        lambda unit: f"{graph_scope(unit)}/conv2d_params",
        lambda unit: f"{graph_scope(unit)}/batchnorm/",
        ("softmax/weights", "softmax/biases"),
        scaled=True,
    )
    found = _only(constants, places)
    return from_tensorflow(found, InceptionClassifier(), places, "the Inception of 2015")


def import_keras(arrays: Arrays) -> Loaded:
    """Keras' arrays by "layer/leaf", such as ``conv2d_1/kernel``.

    Raises ValueError as `import_2015`, and for a file without the classifier.
    """
    head = {name: array for name, array in arrays.items() if name.startswith("predictions/")}
    if not head:
        raise ValueError(
            "there is no layer 'predictions': take the file without 'notop' in its name"
        )
    numbers = {unit: number for number, unit in enumerate(unit_names(), start=1)}
    places = _places(
        lambda unit: f"conv2d_{numbers[unit]}/kernel",
        lambda unit: f"batch_normalization_{numbers[unit]}/",
        ("predictions/kernel", "predictions/bias"),
    )
    trunk = from_one(set(arrays) - set(head))
    arrays = {**head, **{new: arrays[old] for old, new in trunk.items()}}
    module = InceptionClassifier(1000, max_pool_last=False)
    return from_tensorflow(arrays, module, places, "Keras' Inception-v3")


def import_slim(arrays: Arrays, classes: int) -> Loaded:
    """The variables of a checkpoint of TF-slim's ``inception_v3`` in their moving averages, which
    StackGAN's authors evaluate with.

    classes: without the background, the first one, which is left out as they do.

    Raises ValueError as `import_graph`.
    """
    kernel, bias = "logits/logits/weights", "logits/logits/biases"
    places = _places(
        lambda unit: f"{slim_scope(unit)}/weights",
        lambda unit: f"{slim_scope(unit)}/BatchNorm/",
        (kernel, bias),
    )
    places = {f"{name}{_AVERAGE}": path for name, path in places.items()}
    found = _only(arrays, places)
    for name in (kernel + _AVERAGE, bias + _AVERAGE):
        if name in found:
            found[name] = found[name][..., 1:]
    module = InceptionClassifier(classes, max_pool_last=False)
    what = f"TF-slim's Inception-v3 of {classes} classes"
    return from_tensorflow(found, module, places, what)


def _places(
    kernel: Callable[[str], str],
    norm: Callable[[str], str],
    head: tuple[str, str],
    scaled: bool = False,
) -> Places:
    """Where the arrays of all units and of the classifier go. kernel, norm: their names by unit."""
    places = {head[0]: ("params", "fc", "kernel"), head[1]: ("params", "fc", "bias")}
    for unit in unit_names():
        places |= unit_places(unit, kernel(unit), norm(unit), _TRUNK, scaled)
    return places


def _only(arrays: Arrays, places: Places) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if name in places}


def _classes(state: Arrays) -> int:
    return np.size(state.get("fc.bias", ()))


def _of_state(state: StateDict, module: InceptionClassifier, what: str) -> Loaded:
    variables = checked_variables(state, layers(), module, SMALLEST_SIDE, what)
    check_positive({k: v for k, v in state.items() if k.endswith("running_var")}, what)
    return module, variables
