"""Published encoders: Torch7 files written by Torch7, with the arrays and results it gave."""

import jax
import numpy as np
import pytest

from t2i_jax.data import torch7
from t2i_jax.data.torch7 import TorchObject
from t2i_jax.interop import char_cnn_rnn


@pytest.fixture
def samples(golden_dir):
    return golden_dir / "t7_samples"


@pytest.fixture
def expected(samples):
    with np.load(samples / "expected.npz") as arrays:
        return dict(arrays)


def arrays_of(expected, model):
    prefix = f"{model}/"
    return {k.removeprefix(prefix): v for k, v in expected.items() if k.startswith(prefix)}


@pytest.mark.parametrize("model", ["rnn8", "gru18"])
def test_checkpoint_gives_torchs_arrays_and_embeddings(samples, expected, model):
    encoder, variables = char_cnn_rnn.load_torch7(samples / f"tiny_char_cnn_rnn_{model}.t7")
    assert encoder.recurrent == model
    assert (encoder.conv_widths, encoder.width, encoder.embedding) == ((4, 5), 6, 8)
    arrays = char_cnn_rnn.to_arrays(variables["params"])
    wanted = arrays_of(expected, model)
    assert set(arrays) == set(wanted)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, wanted[name], err_msg=name)
    sentence = jax.jit(encoder.apply)(variables, expected["in/encoder_ids"]).sentence
    np.testing.assert_allclose(sentence, expected[f"out/{model}_embedding"], rtol=1e-4, atol=1e-6)


def test_bare_network_as_for_coco(samples, expected):
    network = torch7.load(samples / "tiny_char_cnn_rnn_gru18.t7")["protos"]["enc_doc"]
    arrays = char_cnn_rnn.torch7_arrays(network)
    for name, array in arrays_of(expected, "gru18").items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_names_have_the_module_s_own_tree(samples):
    encoder, variables = char_cnn_rnn.load_torch7(samples / "tiny_char_cnn_rnn_gru18.t7")
    ours = jax.eval_shape(encoder.init, jax.random.key(0), np.zeros((1, 201), np.int32))
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, ours)


def test_faults_in_arrays_are_named(expected):
    arrays = arrays_of(expected, "rnn8")
    with pytest.raises(ValueError, match="proj/bias is missing"):
        char_cnn_rnn.from_arrays({k: v for k, v in arrays.items() if k != "proj/bias"})
    with pytest.raises(ValueError, match="lstm/weight is unknown"):
        char_cnn_rnn.from_arrays({**arrays, "lstm/weight": np.zeros(3)})
    with pytest.raises(ValueError, match=r"rnn/h2h/weight has shape \(6, 5\).*\(6, 6\)"):
        char_cnn_rnn.from_arrays({**arrays, "rnn/h2h/weight": np.zeros((6, 5))})


def test_other_files_are_refused(samples):
    with pytest.raises(ValueError, match=r"image_record\.t7: no protos\.enc_doc.*'img'"):
        char_cnn_rnn.load_torch7(samples / "image_record.t7")
    with pytest.raises(ValueError, match=r"tiny_net_G\.t7: not a published char-CNN-RNN encoder"):
        char_cnn_rnn.load_torch7(samples / "tiny_net_G.t7")
    with pytest.raises(ValueError, match="Linear has no weight and bias"):
        part = {
            "modules": {2: TorchObject("nn.Sequential", {"modules": {1: TorchObject("Linear")}})}
        }
        char_cnn_rnn.torch7_arrays(TorchObject("nn.gModule", part))
