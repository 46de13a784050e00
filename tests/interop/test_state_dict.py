"""State dicts in PyTorch's layout, against a small network that PyTorch itself saved."""

import flax.linen as nn
import numpy as np
import pytest

from t2i_jax.interop import pytorch_legacy
from t2i_jax.interop.state_dict import clean, numbers, to_state_dict, to_variables
from t2i_jax.models.layers import ConvNorm

LAYERS = {"0": ("block", "conv"), "1": ("block", "bn"), "2": ("fc",)}


class Net(nn.Module):
    """The network of the file: convolution, batch norm, linear layer."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(2, name="fc")(ConvNorm(3, padding=0, name="block")(x, train))


@pytest.fixture(scope="module")
def state(golden_dir):
    path = golden_dir / "pytorch" / "zip.pth"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return pytorch_legacy.load(path)["state"]


def test_both_ways_is_exact(state):
    variables = to_variables(state, LAYERS)
    back = to_state_dict(variables, LAYERS, counts=True)
    assert list(back) != [] and back.keys() == state.keys()
    for name in state:
        assert back[name].dtype == state[name].dtype
        np.testing.assert_array_equal(back[name], state[name])
    assert "num_batches_tracked" not in "".join(to_state_dict(variables, LAYERS))
    prefixed = {f"module.{name}": array for name, array in state.items()}
    assert clean(prefixed).keys() == clean(state).keys()
    np.testing.assert_array_equal(
        to_variables(prefixed, LAYERS)["params"]["fc"]["kernel"], state["2.weight"].T
    )


def test_a_convolution_takes_the_place_that_pytorch_gives_it(state):
    x = np.random.default_rng(0).normal(size=(1, 3, 3, 2)).astype(np.float32)
    found = Net().apply(to_variables(state, LAYERS), x, train=False)
    conv = np.einsum("hwi,oihw->o", x[0], state["0.weight"])
    norm = (conv - state["1.running_mean"]) / np.sqrt(state["1.running_var"] + 1e-5)
    norm = norm * state["1.weight"] + state["1.bias"]
    np.testing.assert_allclose(
        found[0, 0, 0], state["2.weight"] @ norm + state["2.bias"], rtol=1e-5, atol=1e-6
    )


def test_other_networks_are_refused(state):
    with pytest.raises(ValueError, match="no layer takes '3.weight'"):
        to_variables({**state, "3.weight": np.zeros(2)}, LAYERS)
    with pytest.raises(ValueError, match="nothing is there for the layers '2'"):
        to_variables({k: v for k, v in state.items() if not k.startswith("2")}, LAYERS)
    with pytest.raises(ValueError, match="no layer of the state dict is our other"):
        to_state_dict({"params": {"other": {"kernel": np.zeros((1, 1))}}}, LAYERS)


def test_numbered_names_are_counted():
    assert numbers({"a.0.x": 0, "a.1.x": 0, "a.3.x": 0}, "a.{}.") == 2
    assert numbers({"b1.x": 0, "b2.x": 0}, "b{}.") == 2
    assert numbers({}, "a.{}.") == 0
