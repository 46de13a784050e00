"""Against PyTorch itself, where it is installed (the extra "peers", ``launch/test_peers.sh``)."""

import numpy as np
import pytest

from t2i_jax.interop import damsm, pytorch_legacy

torch = pytest.importorskip("torch")

WORDS, LENGTHS, WIDTH = 11, (6, 3, 1, 5), 8


@pytest.fixture(scope="module")
def encoder():
    """AttnGAN's text encoder in a few lines of torch, in evaluation mode."""
    torch.manual_seed(0)
    net = torch.nn.ModuleDict(
        {
            "encoder": torch.nn.Embedding(WORDS, 300),
            "rnn": torch.nn.LSTM(300, WIDTH // 2, batch_first=True, bidirectional=True),
        }
    )
    return net.eval()


def test_padded_captions_give_what_packed_ones_give(encoder):
    module, variables = damsm.import_text_encoder(
        {name: x.detach().numpy() for name, x in encoder.state_dict().items()}
    )
    rng = np.random.default_rng(0)
    tokens = np.zeros((len(LENGTHS), max(LENGTHS)), np.int32)
    for row, length in enumerate(LENGTHS):
        tokens[row, :length] = rng.integers(1, WORDS, length)
    text = module.apply(variables, tokens, tokens > 0)
    with torch.no_grad():
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            encoder["encoder"](torch.tensor(tokens)),
            list(LENGTHS),
            batch_first=True,
            enforce_sorted=False,
        )
        states, (last, _) = encoder["rnn"](packed)
        words, _ = torch.nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
    sentence = torch.cat([last[0], last[1]], dim=1)
    np.testing.assert_allclose(text.words, words.numpy(), atol=1e-6)
    np.testing.assert_allclose(text.sentence, sentence.numpy(), atol=1e-6)


@pytest.mark.parametrize("zipped", [True, False])
def test_files_that_torch_writes_are_read(encoder, tmp_path, zipped):
    path = tmp_path / "text_encoder.pth"
    torch.save(encoder.state_dict(), path, _use_new_zipfile_serialization=zipped)
    read = pytorch_legacy.load(path)
    assert read.keys() == encoder.state_dict().keys()
    for name, value in encoder.state_dict().items():
        np.testing.assert_array_equal(read[name], value.numpy())
