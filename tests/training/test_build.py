"""From configs to systems: vocabularies, refusals of text, random networks."""

import pickle
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import ROOT

from t2i_jax import config as configs
from t2i_jax import types
from t2i_jax.data import tokenizers
from t2i_jax.data.options import DataOptions
from t2i_jax.data.tokenizers import WordTokenizer
from t2i_jax.encoders import char_cnn_rnn, damsm
from t2i_jax.training import build, fields, networks, reading, runs

CAPTIONS = [["a red bird", "a bird"], ["a blue fish!"]]
WORDS = ["<end>", "a", "red", "bird", "blue", "fish"]  # of CAPTIONS by first appearance
WITH_WORDS = damsm.TextEncoder(vocab_size=5, word_dim=2, embedding=4)
WITHOUT = char_cnn_rnn.TextEncoder(conv_widths=(2, 2), width=2, embedding=4)


def debug(system: str = "gan_int_cls", *assignments: str):
    return fields.resolve(f"{ROOT}/configs/{system}.py:debug", assignments).config


def words_encoder(*assignments: str):
    """A GAN with an untrained encoder of words."""
    small = ["encoder.fields.word_dim=2", "encoder.fields.embedding=4"]
    named = ["encoder.name=damsm", "tokenizer.name=word"]
    return debug("gan_int_cls", *named, *small, *assignments)


def system(reads: str, encoder=None, tokenizer=None, without_words=(), **section):
    """As far as `reading` looks at one."""
    config = configs.base()
    config.system = "my_gan"
    config.encoder.update(section)
    frozen = {"encoder": None} if encoder is not None and config.encoder.train == "frozen" else {}
    recipe = SimpleNamespace(
        reads=reads, players=("g", "d"), wrong_pairs="caption", without_words=without_words
    )
    return build.System(config, recipe, encoder, tokenizer, frozen)


CHARS, FEW_WORDS = tokenizers.from_config("char"), WordTokenizer(WORDS[:5], 4)


@pytest.mark.parametrize(
    "given, data, message",
    [
        (system("sentence", WITHOUT, CHARS), {"captions": 0}, "data.captions=0: set it to 1"),
        (system("words", WITH_WORDS, FEW_WORDS), {"captions": 0}, "reads captions, but data"),
        (system("tokens", tokenizer=CHARS), {"captions": 0}, "data.captions=0"),
        (system("tokens"), {}, "encodes captions itself: set data.text=tokens and a tokenizer"),
        (system("tokens", WITHOUT), {}, "'my_gan' encodes captions itself"),
        (system("tokens", tokenizer=CHARS), {"text": "embeddings"}, "set data.text=tokens"),
        (system("tokens", WITHOUT, CHARS, name="bert"), {}, "would not use encoder.name='bert'"),
        (system("words"), {"text": "embeddings"}, "word vectors, which stored embeddings lack"),
        (system("words", WITH_WORDS), {"text": "embeddings"}, "such as damsm"),
        (system("words", tokenizer=CHARS), {"text": "embeddings"}, "set data.text=tokens"),
        (system("sentence"), {}, "'my_gan' reads captions: set encoder.name and encoder.source"),
        (system("sentence", tokenizer=CHARS), {"captions": 4}, "set encoder.name"),
        (system("words"), {}, "set encoder.name and encoder.source"),
        (system("words", WITH_WORDS, FEW_WORDS), {"captions": 2}, "averaged over data.captions=2"),
        (system("words", WITH_WORDS, FEW_WORDS), {"captions": 9}, "captions=9 .*captions=1"),
        (system("words", WITHOUT, CHARS), {"captions": 2}, "cannot be averaged"),
        (system("words", WITHOUT, CHARS, name="char_cnn_rnn"), {}, "'char_cnn_rnn' gives sentence"),
        (system("words", WITHOUT, CHARS, name="mylab.mine"), {}, "encoder.name='mylab.mine' gives"),
        (system("words", WITHOUT, CHARS, train="joint"), {}, "gives sentence vectors only"),
        (system("words", WITHOUT, CHARS, ("a.b=0",)), {}, "or the form without words: a.b=0"),
    ],
)
def test_text_that_a_recipe_cannot_be_given(given, data, message):
    with pytest.raises(ValueError, match=message):
        reading.check(given, DataOptions(**data))


@pytest.mark.parametrize(
    "name, changes, message",
    [
        (
            "xmc_gan",
            ["data.mismatch=caption"],
            "captions, which 'xmc_gan' does not read: set data.mismatch=''",
        ),
        ("xmc_gan", ["data.mismatch=swapped", "data.truncate=head"], "mismatch=swapped brings"),
        ("damsm", ["data.mismatch=image"], "mismatched images, which 'damsm' does not read"),
        ("stack_gan_v2", ["data.mismatch=caption"], "captions, .* set data.mismatch=image"),
        ("df_gan", ["data.mismatch=caption"], "recipe.mismatch=roll does .* or a recipe.mismatch"),
        ("rat_gan", ["data.mismatch=caption"], "recipe.mismatch=shift does not read"),
        ("attn_gan", ["data.mismatch=image"], "mismatched images, which 'attn_gan'"),
        ("gan_int_cls", ["data.mismatch=image"], "=text does not .* data.mismatch=caption, or a"),
        ("gan_int_cls", ["recipe.mismatch=image"], "set data.mismatch=image"),
        ("stack_gan_v1", ["recipe.mismatch=shift"], "recipe.mismatch=shift does not read"),
    ],
)
def test_mismatched_pairs_that_nothing_reads_are_refused(name, changes, message):
    built = build.build(debug(name, *changes), captions=lambda: CAPTIONS)
    with pytest.raises(ValueError, match=message):
        reading.check(built, build.data_options(built.config))


@pytest.mark.parametrize(
    "given, data",
    [
        (system("nothing"), {"captions": 0}),
        (system("nothing", WITHOUT, CHARS), {}),
        (system("nothing"), {"text": "embeddings"}),
        (system("sentence", WITHOUT, CHARS), {"captions": 4}),
        (system("sentence"), {"text": "embeddings", "captions": 2}),
        (system("sentence", WITH_WORDS, FEW_WORDS), {}),
        (system("words", WITH_WORDS, FEW_WORDS), {}),
        (system("words", WITH_WORDS, FEW_WORDS, train="joint"), {}),
        (system("words", WITH_WORDS, FEW_WORDS), {"truncate": "thin"}),
        (system("tokens", tokenizer=CHARS), {}),
        (system("tokens", tokenizer=FEW_WORDS), {"captions": 2}),
        (system("tokens", tokenizer=CHARS), {"truncate": "sentences"}),
    ],
)
def test_text_that_it_can(given, data):
    reading.check(given, DataOptions(**data))


@pytest.mark.parametrize(
    "given, data, cached",
    [
        (system("sentence", WITHOUT, CHARS), {}, True),
        (system("sentence", WITHOUT, CHARS), {"captions": 4, "replace": True}, True),
        (system("sentence", WITH_WORDS, FEW_WORDS), {"mismatch": "caption"}, True),
        (system("words", WITH_WORDS, FEW_WORDS), {}, False),
        (system("nothing", WITHOUT, CHARS), {}, False),
        (system("tokens", WITHOUT, CHARS), {}, False),
        (system("sentence", WITHOUT, CHARS, train="joint"), {}, False),
        (system("sentence", WITHOUT, CHARS, cache=False), {}, False),
        (system("sentence"), {"text": "embeddings"}, False),
        (system("sentence", WITHOUT, CHARS), {"truncate": "sentences"}, False),
        (system("sentence", WITHOUT, CHARS), {"mismatch": "swapped"}, False),
        (system("sentence", WITH_WORDS, FEW_WORDS), {"truncate": "thin"}, False),
        (system("sentence", WITHOUT, CHARS), {"captions": 0}, False),
    ],
)
def test_when_captions_are_encoded_beforehand(given, data, cached):
    assert reading.is_cached(given, DataOptions(**data)) == cached


@pytest.mark.parametrize(
    "captions, words",
    [
        (CAPTIONS, WORDS),
        ([["Red birds; red WINGS"], []], ["<end>", "red", "birds", "wings"]),
        ([["", "!"], ["b\u00fcrd 2"]], ["<end>", "brd", "2"]),
    ],
)
def test_a_word_vocabulary_is_that_of_the_captions(captions, words):
    """And the encoder that is trained on it has a vector for each of its words."""
    config = words_encoder()
    built = build.build(config, captions=lambda: captions)
    assert built.tokenizer.to_json() == {"name": "word", "length": 18, "words": words}
    assert built.encoder.vocab_size == config.encoder.fields.vocab_size == len(words)
    assert built.variables["encoder"]["params"]["words"].shape == (len(words), 2)


def test_where_else_a_vocabulary_comes_from(tmp_path):
    """Words of the config or of AttnGAN's file; the run's own before all; none without captions."""
    unread = None
    listed = build.build(words_encoder("tokenizer.words=('<end>','x')"), captions=unread)
    assert listed.tokenizer.words == ["<end>", "x"]
    file = tmp_path / "captions.pickle"
    file.write_bytes(pickle.dumps([[], [], dict(enumerate(WORDS)), {}]))
    pickled = words_encoder(f"tokenizer.captions_pickle={file}")
    assert build.build(pickled, captions=unread).tokenizer.words == WORDS
    (tmp_path / "run").mkdir()
    runs.write_tokenizer(tmp_path / "run", FEW_WORDS)
    resumed = build.build(words_encoder(), tmp_path / "run", lambda: CAPTIONS)
    assert resumed.tokenizer.to_json() == FEW_WORDS.to_json()
    with pytest.raises(ValueError, match="prepare the data set first, or give tokenizer.captions"):
        build.build(words_encoder())
    with pytest.raises(ValueError, match="no caption has a word"):
        build.build(words_encoder(), captions=lambda: [["!"], []])


def test_a_tokenizer_of_the_encoders_run_is_changed_where_the_user_says_so():
    """Its length, not what its ids mean."""
    came = networks.Network(WITH_WORDS, {}, FEW_WORDS)
    config = words_encoder("tokenizer.length=25", "tokenizer.words=('<end>','x')")

    def made(*given):
        return build._tokenizer(config, None, came, None, given).to_json()

    assert made() == made("tokenizer.name", "data.size") == FEW_WORDS.to_json()
    changed = {**FEW_WORDS.to_json(), "length": 25}
    assert made("tokenizer.length", "tokenizer.words", "tokenizer.mode") == changed


@pytest.mark.parametrize("size", [2, 7, 27_297])
def test_a_vocabulary_that_is_not_the_encoders(tmp_path, size):
    """A weights file brings no tokenizer of its own."""
    encoder = damsm.TextEncoder(vocab_size=size, word_dim=2, embedding=4)
    tokens = jnp.zeros((1, 3), jnp.int32)
    variables = jax.jit(encoder.init)(jax.random.key(0), tokens, tokens == 0)
    networks.save(tmp_path, "encoder", networks.Network(encoder, jax.device_get(variables)))
    source = f"encoder.source={networks.path_of(tmp_path, 'encoder')}"
    message = f"encoder.source: the encoder has {size:,} words, but the tokenizer's vocabulary 6"
    with pytest.raises(ValueError, match=message):
        build.build(words_encoder(source), captions=lambda: CAPTIONS)
    own = [["<end>"] + [f"w{i}" for i in range(1, size)]]
    fits = build.build(words_encoder(source), captions=lambda: [[" ".join(own[0][1:])]])
    assert fits.tokenizer.vocab_size == fits.encoder.vocab_size == size


OWN_READER = """
import dataclasses

from t2i_jax.encoders.damsm import TextEncoder
from t2i_jax.recipes.base import EncoderRecipe

@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(EncoderRecipe):
    reads = "tokens"
    text: TextEncoder
"""


@pytest.mark.parametrize("captions", [CAPTIONS, [["one"]], [["x y", "z"], ["x"]]])
def test_a_network_that_reads_tokens_gets_the_vocabularys_size(tmp_path, monkeypatch, captions):
    (tmp_path / "own_reader").mkdir()
    (tmp_path / "own_reader" / "recipe.py").write_text(OWN_READER)
    monkeypatch.syspath_prepend(tmp_path)
    config = configs.base()
    config.system, config.tokenizer = "own_reader.recipe", {"name": "word"}
    config.text = {"embedding": 4}
    built = build.build(fields.complete(config), captions=lambda: captions)
    words = {word for lines in captions for line in lines for word in line.strip("!").split()}
    assert built.recipe.text.vocab_size == config.text.vocab_size == len(words) + 1
    assert built.encoder is None and built.tokenizer.vocab_size == len(words) + 1


def example(size: int, rows: int = 2):
    """A host batch of captions of characters."""
    ids, mask = CHARS.encode(["a bird"] * rows)
    images = np.zeros((rows, size, size, 3), np.uint8)
    return {types.IMAGES: images, types.TOKENS: ids[:, None], types.MASK: mask[:, None]}


def test_random_frozen_networks_beside_a_text_encoder_that_is_trained():
    """It has no weights yet when they are drawn."""
    built = build.build(debug("attn_gan", "encoder.train=joint"), captions=lambda: CAPTIONS)
    assert built.untrained == ("damsm",) and not built.frozen
    ids, mask = built.tokenizer.encode(["a bird"] * 2)
    batch = {**example(built.config.data.size), types.TOKENS: ids[:, None]}
    built.complete({**batch, types.MASK: mask[:, None]})
    assert built.variables["damsm"]["params"]["regions"]["kernel"].shape[-1] == 12


@pytest.mark.parametrize(
    "name, network, size, change",
    [
        ("style_encoder", "generator", 32, "generator.channels=2"),
        ("stack_gan_v1_stage2", "stage1", 32, "stage1.channels=4"),
        ("style_encoder", "generator", 32, "generator.noise=uniform"),
    ],
)
def test_random_frozen_networks(name, network, size, change, tmp_path):
    """Their weights follow from the seed and the name, fit their module, and are kept; the config
    describes them alike when the run is begun and when it goes on.
    """
    drawn = []
    for seed in (0, 0, 1):
        config = debug(name, change, f"seed={seed}")
        built = build.build(config)
        assert built.untrained == (network,) and network not in built.frozen
        built.complete(example(size))
        assert built.untrained == () and built.frozen[network].module == getattr(
            built.recipe, network
        )
        drawn.append(built.variables[network])
    first, again, other = (jax.tree.leaves(tree) for tree in drawn)
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))
    assert all(np.isfinite(leaf).all() for leaf in first)
    for kept, what in built.frozen.items():
        networks.save(tmp_path, kept, what)
    resumed_config = debug(name, change, "seed=1")
    resumed = build.build(resumed_config, tmp_path)
    assert resumed.untrained == () and resumed_config.to_dict() == config.to_dict()
    assert all(map(np.array_equal, other, jax.tree.leaves(resumed.variables[network])))
