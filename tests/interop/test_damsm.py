"""State dicts of DAMSM's encoders, with the authors' own names and shapes."""

import jax
import numpy as np
import pytest

from t2i_jax.encoders.damsm import ImageEncoder, TextEncoder
from t2i_jax.interop import damsm, inception_v3
from t2i_jax.interop.published import shapes_of


def random_state(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {k: rng.random(shape, np.float32) for k, shape in shapes.items()}


@pytest.fixture(scope="module")
def text_state(golden_dir):
    path = golden_dir / "damsm.npz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with np.load(path) as arrays:
        return {k.removeprefix("text/"): v for k, v in arrays.items() if k.startswith("text/")}


@pytest.fixture(scope="module")
def image_state():
    small = ImageEncoder(embedding=8, image_size=75)
    return random_state(shapes_of(small, damsm.image_layers(), 75))


def same(actual, expected):
    assert set(actual) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, err_msg=name)


def test_text_encoder_both_ways(text_state):
    encoder, variables = damsm.import_text_encoder(
        {f"module.{name}": array for name, array in text_state.items()}
    )
    assert encoder == TextEncoder(vocab_size=23, word_dim=10, embedding=8)
    wanted = jax.eval_shape(encoder.init, jax.random.key(0), np.ones((1, 2), np.int32))
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, wanted)
    exported = damsm.export_text_encoder(variables)
    assert list(exported) == list(text_state)
    same(exported, text_state)


@pytest.mark.parametrize("name", ["encoder.weight", "rnn.bias_hh_l0_reverse"])
def test_text_faults_are_named(text_state, name):
    with pytest.raises(ValueError, match=f"DAMSM's text encoder.*{name}"):
        damsm.import_text_encoder({k: v for k, v in text_state.items() if k != name})
    broken = {**text_state, name: np.full_like(text_state[name], np.nan)}
    with pytest.raises(ValueError, match=f"{name} holds values that are not finite"):
        damsm.import_text_encoder(broken)
    with pytest.raises(ValueError, match="rnn.bias_hh_l0 has shape .7,., not .16,."):
        damsm.import_text_encoder({**text_state, "rnn.bias_hh_l0": np.zeros(7)})
    with pytest.raises(ValueError, match="rnn.weight_ih_l1 is unknown"):
        damsm.import_text_encoder({**text_state, "rnn.weight_ih_l1": np.zeros(7)})


def test_image_encoder_both_ways(image_state):
    assert len(image_state) == 473
    assert image_state["Mixed_6b.branch7x7dbl_3.conv.weight"].shape == (128, 128, 1, 7)
    assert image_state["emb_features.weight"].shape == (8, 768, 1, 1)
    counts = {
        name.replace("running_var", "num_batches_tracked"): np.zeros([], np.int64)
        for name in image_state
        if name.endswith("running_var")
    }
    encoder, variables = damsm.import_image_encoder({**image_state, **counts})
    assert encoder == ImageEncoder(embedding=8)
    same(damsm.export_image_encoder(variables, counts=False), image_state)
    same(damsm.export_image_encoder(variables), {**image_state, **counts})


def test_image_faults_are_named(image_state):
    for name, fault in (
        ("emb_cnn_code.bias", "is missing"),
        ("Mixed_7c.branch_pool.bn.running_mean", "is missing"),
    ):
        with pytest.raises(ValueError, match=f"DAMSM's image encoder.*{name} {fault}"):
            damsm.import_image_encoder({k: v for k, v in image_state.items() if k != name})
    with pytest.raises(ValueError, match="emb_features.weight has shape .8, 768., not"):
        damsm.import_image_encoder({**image_state, "emb_features.weight": np.zeros((8, 768))})


def test_torchvision_both_ways(image_state):
    own = {k: v for k, v in image_state.items() if not k.startswith("emb_")}
    dead = {"AuxLogits.conv0.conv.weight": np.zeros((128, 768, 1, 1)), "fc.bias": np.zeros(1000)}
    _, variables = inception_v3.import_torchvision({**own, **dead})
    same(inception_v3.export_torchvision(variables, counts=False), own)
    with pytest.raises(ValueError, match="Conv2d_9x.conv.weight is unknown"):
        inception_v3.import_torchvision({**own, "Conv2d_9x.conv.weight": np.zeros((1, 1, 1, 1))})
