"""Weights of Inception-v3 under the names of all who publish it."""

import inception_weights
import jax
import numpy as np
import pytest

from t2i_jax.encoders.inception_classifier import InceptionClassifier
from t2i_jax.encoders.inception_v3 import unit_names
from t2i_jax.interop import inception_classifier as interop
from t2i_jax.interop import keras_h5
from t2i_jax.interop.inception_names import from_one, graph_scope, slim_scope

NORM = {"beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
AVERAGE = "/ExponentialMovingAverage"
TORCHVISION = InceptionClassifier(1000, True, False)


@pytest.fixture(scope="module")
def state():
    return inception_weights.state_dict()


@pytest.fixture(scope="module")
def variables(state):
    return interop.import_2015(state)[1]


def same(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_state_dict_both_ways(state, variables):
    """The published file has 472 entries, one that was saved again 566."""
    assert len(state) == 472
    assert sum(array.size for array in state.values()) == 23_885_392
    assert state["Mixed_6b.branch7x7_2.conv.weight"].shape == (128, 128, 1, 7)
    assert state["Mixed_7a.branch3x3_2.conv.weight"].shape == (320, 192, 3, 3)
    again = interop.export(variables, counts=True)
    assert len(again) == 566
    module, found = interop.import_2015(again)
    assert module == InceptionClassifier()
    same(found, variables)
    exported = interop.export(variables)
    same(exported, state)


def test_one_network_is_not_taken_for_another(state):
    shorter = {**state, "fc.weight": np.zeros((1000, 2048)), "fc.bias": np.zeros(1000)}
    for other in (shorter, {**state, "AuxLogits.fc.bias": np.zeros(1000)}):
        with pytest.raises(ValueError, match="torchvision's weights .* not the Inception of 2015"):
            interop.import_2015(other)
    with pytest.raises(ValueError, match="the Inception of 2015 .1008 classes., not torchvision's"):
        interop.import_torchvision(state)
    shorter = {k: v.astype(np.float32) for k, v in shorter.items()}
    module, _ = interop.import_torchvision({**shorter, "AuxLogits.fc.bias": np.zeros(1000)})
    assert module == TORCHVISION


def test_faults_are_named(state):
    norm = "Mixed_5b.branch1x1.bn"
    broken = {k: v for k, v in state.items() if k != f"{norm}.weight"}
    broken |= {
        "extra.weight": state["fc.weight"],
        f"{norm}.running_mean": np.ones(63, np.float32),
        f"{norm}.bias": np.full(64, np.inf, np.float32),
    }
    with pytest.raises(ValueError) as error:
        interop.import_2015(broken)
    for told in (
        "not the weights of the Inception of 2015",
        f"{norm}.weight is missing",
        "extra.weight is unknown",
        f"{norm}.running_mean has shape (63,), not (64,)",
        f"{norm}.bias holds values that are not finite: 64 of 64",
    ):
        assert told in str(error.value)
    with pytest.raises(ValueError, match="running_var is not above 0"):
        interop.import_2015({**state, f"{norm}.running_var": np.zeros(64, np.float32)})


@pytest.mark.parametrize(
    ("unit", "graph", "slim"),
    [
        ("Conv2d_1a_3x3", "conv", "conv0"),
        ("Conv2d_4a_3x3", "conv_4", "conv4"),
        ("Mixed_5b.branch1x1", "mixed/conv", "mixed_35x35x256a/branch1x1/Conv"),
        ("Mixed_5c.branch5x5_2", "mixed_1/tower/conv_1", "mixed_35x35x288a/branch5x5/Conv_1"),
        ("Mixed_5d.branch_pool", "mixed_2/tower_2/conv", "mixed_35x35x288b/branch_pool/Conv"),
        ("Mixed_6a.branch3x3", "mixed_3/conv", "mixed_17x17x768a/branch3x3/Conv"),
        ("Mixed_6a.branch3x3dbl_3", "mixed_3/tower/conv_2", "mixed_17x17x768a/branch3x3dbl/Conv_2"),
        (
            "Mixed_6e.branch7x7dbl_5",
            "mixed_7/tower_1/conv_4",
            "mixed_17x17x768e/branch7x7dbl/Conv_4",
        ),
        ("Mixed_7a.branch3x3_1", "mixed_8/tower/conv", "mixed_17x17x1280a/branch3x3/Conv"),
        (
            "Mixed_7a.branch7x7x3_4",
            "mixed_8/tower_1/conv_3",
            "mixed_17x17x1280a/branch7x7x3/Conv_3",
        ),
        ("Mixed_7b.branch3x3_2b", "mixed_9/tower/mixed/conv_1", "mixed_8x8x2048a/branch3x3/Conv_2"),
        (
            "Mixed_7c.branch3x3dbl_3a",
            "mixed_10/tower_1/mixed/conv",
            "mixed_8x8x2048b/branch3x3dbl/Conv_2",
        ),
    ],
)
def test_names_as_the_programs_give_them(unit, graph, slim):
    assert graph_scope(unit) == graph and slim_scope(unit) == slim


def tensorflow(state, kernel, norm, leaves, head, ending=""):
    """A state dict under other names, in TensorFlow's axes."""
    arrays = {head[0]: state["fc.weight"].T, head[1]: state["fc.bias"]}
    for unit in unit_names():
        arrays[kernel(unit)] = state[f"{unit}.conv.weight"].transpose(2, 3, 1, 0)
        for leaf, theirs in leaves.items():
            arrays[norm(unit) + leaf] = state[f"{unit}.bn.{theirs}"]
    return {f"{name}{ending}": array for name, array in arrays.items()}


def test_the_graph(state, variables):
    graph = tensorflow(
        state,
        lambda unit: f"{graph_scope(unit)}/conv2d_params",
        lambda unit: f"{graph_scope(unit)}/batchnorm/",
        {**NORM, "gamma": "weight"},
        ("softmax/weights", "softmax/biases"),
    )
    assert len(graph) == 472
    module, found = interop.import_graph({**graph, "pool_3/_reshape/shape": np.int32([1, 2048])})
    assert module == InceptionClassifier()
    same(found, variables)
    del graph["mixed_9/tower/mixed/conv/batchnorm/beta"]
    with pytest.raises(ValueError, match="mixed_9/tower/mixed/conv/batchnorm/beta is missing"):
        interop.import_graph(graph)


def test_slim(state, variables):
    """The averages are read, the background's logit is not."""
    birds = {
        **state,
        "fc.weight": state["fc.weight"][:51],
        "fc.bias": np.arange(51, dtype=np.float32),
    }
    arrays = tensorflow(
        birds,
        lambda unit: f"{slim_scope(unit)}/weights",
        lambda unit: f"{slim_scope(unit)}/BatchNorm/",
        NORM,
        ("logits/logits/weights", "logits/logits/biases"),
        AVERAGE,
    )
    raw = {name.removesuffix(AVERAGE): array + 1 for name, array in arrays.items()}
    others = {
        "global_step": np.int64(5000),
        f"aux_logits/FC/biases{AVERAGE}": np.zeros(51, np.float32),
    }
    module, found = interop.import_slim({**raw, **arrays, **others}, 50)
    assert module == InceptionClassifier(50, max_pool_last=False)
    fc, trunk = found["params"]["fc"], found["params"]["inception"]
    np.testing.assert_array_equal(fc["bias"], np.arange(1, 51))
    np.testing.assert_array_equal(fc["kernel"], birds["fc.weight"][1:].T)
    same(found["batch_stats"], variables["batch_stats"])
    unit = trunk["Mixed_6c"]["branch7x7_3"]
    expected = variables["params"]["inception"]["Mixed_6c"]["branch7x7_3"]
    np.testing.assert_array_equal(unit["conv"]["kernel"], expected["conv"]["kernel"])
    np.testing.assert_array_equal(unit["bn"]["scale"], np.ones(192))
    with pytest.raises(ValueError, match=f"{AVERAGE[1:]} is missing"):
        interop.import_slim(raw, 50)
    with pytest.raises(ValueError, match=f"logits/biases{AVERAGE} has shape .50,., not .20,."):
        interop.import_slim(arrays, 20)


@pytest.fixture(scope="module")
def keras(golden_dir):
    """(arrays by the published names, what Keras' network computes with them): tf_keras 2.21."""
    with np.load(golden_dir / "keras_inception_v3.npz") as golden:
        listed = zip(golden["names"], golden["shapes"], strict=True)
        shapes = {str(name): tuple(shape[shape > 0]) for name, shape in listed}
        expected = {name: golden[name] for name in ("2048", "logits")}
    return {name: inception_weights.drawn(name, shape) for name, shape in shapes.items()}, expected


def test_keras(keras):
    arrays, expected = keras
    module, found = interop.import_keras(arrays)
    assert module == InceptionClassifier(1000, max_pool_last=False)
    images = np.random.default_rng(0).integers(0, 256, (2, 139, 139, 3))
    run = jax.jit(lambda images: module.apply(found, images, False))
    vectors = run(images.astype(np.float32) / 127.5 - 1)
    for name, array in expected.items():
        error = np.abs(vectors[name] - array).max() / np.abs(array).max()
        assert error < 1e-5, f"{name}: {error}"


def test_keras_layers_are_known_by_their_order(keras):
    arrays, _ = keras
    names = from_one(["conv2d_96/kernel", "conv2d/kernel", "conv2d_7/kernel", "other_5/beta"])
    assert list(names.values()) == [
        *("conv2d_3/kernel", "conv2d_1/kernel", "conv2d_2/kernel", "other_1/beta")
    ]
    without = {k: v for k, v in arrays.items() if not k.startswith("predictions/")}
    with pytest.raises(ValueError, match="without 'notop' in its name"):
        interop.import_keras(without)
    with pytest.raises(ValueError, match="conv2d_95/kernel is unknown"):
        interop.import_keras({**arrays, "conv2d_95/kernel": np.zeros(3, np.float32)})


def test_files_of_keras(keras, tmp_path):
    h5py = pytest.importorskip("h5py")
    arrays = {name: array for name, array in keras[0].items() if array.ndim == 1}
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        for name, array in arrays.items():
            file[f"{name.partition('/')[0]}/{name}:0"] = array
        file.create_group("activation_1")
    same(keras_h5.load(tmp_path / "weights.h5"), arrays)
    (tmp_path / "no.h5").write_text("no")
    with pytest.raises(ValueError, match="no.h5: not a readable HDF5 file"):
        keras_h5.load(tmp_path / "no.h5")
    with pytest.raises(FileNotFoundError, match="nothing.h5"):
        keras_h5.load(tmp_path / "nothing.h5")
