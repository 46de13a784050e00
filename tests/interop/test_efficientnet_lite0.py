"""State dicts of EfficientNet-Lite0, with the publisher's own names and shapes."""

import numpy as np
import pytest

from t2i_jax.encoders.efficientnet_lite0 import EfficientNetLite0
from t2i_jax.interop.efficientnet_lite0 import export_state, import_state, layers
from t2i_jax.interop.published import shapes_of


@pytest.fixture(scope="module")
def state():
    rng = np.random.default_rng(0)
    shapes = shapes_of(EfficientNetLite0(), layers(), 32)
    return {name: rng.random(shape, np.float32) for name, shape in shapes.items()}


def test_both_ways(state):
    assert state["_blocks.0._depthwise_conv.weight"].shape == (32, 1, 3, 3)
    assert state["_blocks.15._project_conv.weight"].shape == (320, 1152, 1, 1)
    assert state["_fc.weight"].shape == (1000, 1280)
    assert "_blocks.0._expand_conv.weight" not in state
    module, variables = import_state(state)
    assert module == EfficientNetLite0()
    counted = export_state(variables)
    assert sum(name.endswith("num_batches_tracked") for name in counted) == 49
    _, again = import_state(counted)
    exported = export_state(again, counts=False)
    assert set(exported) == set(state)
    for name, array in state.items():
        np.testing.assert_array_equal(exported[name], array, err_msg=name)


def test_faults_are_named(state):
    with pytest.raises(ValueError, match="EfficientNet-Lite0: _fc.bias is missing"):
        import_state({name: array for name, array in state.items() if name != "_fc.bias"})
    with pytest.raises(ValueError, match="_bn0.running_var holds values that are not finite"):
        import_state({**state, "_bn0.running_var": np.full(32, np.inf, np.float32)})
    with pytest.raises(ValueError, match="_conv_stem.weight has shape .16, 3, 3, 3., not .32, 3"):
        import_state({**state, "_conv_stem.weight": state["_conv_stem.weight"][:16]})
