"""GANs on a BERT from a Hugging Face folder, by the overrides that the documentation names."""

import contextlib
import io
import json
import shutil
from types import SimpleNamespace

import jax
import numpy as np
import pth_files
import pytest
from imports import refused
from peers.bert_reference import TINY, VARIANTS
from safetensors.numpy import save_file
from tiny_runs import ROOT, random_like

import t2i_jax
from t2i_jax.commands import import_weights
from t2i_jax.data import catalog
from t2i_jax.encoders.damsm import CompactImageEncoder
from t2i_jax.interop import attn_gan, bert, packages
from t2i_jax.recipes import damsm_terms
from t2i_jax.recipes.terms import Seen, no_noise
from t2i_jax.training import build, fields, loop, networks, runs
from t2i_jax.types import Text

pytestmark = pytest.mark.usefixtures("one_device")

WORDS = (
    "[PAD] [UNK] [CLS] [SEP] a an the this bird is with and has its wings breast belly crown beak "
    "bill red orange yellow green blue purple brown black white grey small large . , ##s "
    "short long that are on"
)


@pytest.fixture(scope="module")
def folder(golden_dir, tmp_path_factory):
    """A tiny BERT with random weights, whose captions have at most nine ids."""
    path = tmp_path_factory.mktemp("hugging_face") / "tiny"
    path.mkdir()
    golden, prefix = np.load(golden_dir / "bert.npz"), "gelu/state/"
    state = {k.removeprefix(prefix): golden[k] for k in golden if k.startswith(prefix)}
    save_file(state, path / "model.safetensors")
    described = {"type_vocab_size": 2, **TINY, **VARIANTS["gelu"]}
    (path / "config.json").write_text(json.dumps(described))
    (path / "vocab.txt").write_text("\n".join(WORDS.split()), encoding="utf-8")
    assert len(WORDS.split()) == TINY["vocab_size"]
    return path


def resolved(system, data_dir, source, *assignments):
    given = [f"data.data_dir={data_dir}", "encoder.name=bert", f"encoder.source={source}"]
    return fields.resolve(f"{ROOT}/configs/{system}.py:debug", [*given, *assignments]).config


def train(config, workdir) -> str:
    """What is said."""
    with contextlib.redirect_stderr(io.StringIO()) as printed:
        loop.train(config, workdir)
    return printed.getvalue()


def test_a_system_of_sentences(folder, data_dir, tmp_path):
    source, workdir = tmp_path / "source", tmp_path / "run"
    shutil.copytree(folder, source)
    said = train(resolved("df_gan", data_dir, source, "tokenizer.length=9"), workdir)
    assert " captions looked at are longer than tokenizer.length=9 and are cut (data.trunc" in said
    # The cache holds what the folder's encoder makes of each caption.
    (cache,) = (workdir / "cache" / "process0").iterdir()
    records = catalog.open_split("toy_birds", str(data_dir), "train")
    module, variables = bert.read(source)
    tokenizer = build.restore(runs.read_config(workdir), workdir).tokenizer
    text = module.apply(variables, *tokenizer.encode(records[1]["captions"]))
    np.testing.assert_allclose(np.load(cache)[1], text.sentence, atol=1e-5)
    # The run needs its source no longer.
    shutil.rmtree(source)
    sampler = t2i_jax.Sampler.from_workdir(workdir, batch_size=2)
    images = sampler.sample(["a red bird", "the bird has a long beak"])
    assert images.shape == (2, 16, 16, 3)
    assert sampler.words("a red bird") == ["", "a", "red", "bird", ""]
    again = networks.resolve("encoder.source", f"{workdir}:encoder", "text", type(module))
    assert again.tokenizer.length == 9 and again.module.pooling == "mean"


def test_a_system_of_words_that_trains_the_encoder(folder, data_dir, tmp_path):
    changes = ["tokenizer.length=9", "encoder.train=joint", "encoder.fields.pooling=first"]
    changes += ["data.mismatch=swapped", "recipe.mismatch=caption"]
    config = resolved("attn_gan", data_dir, folder, *changes)
    workdir = tmp_path / "run"
    train(config, workdir)
    sampler = t2i_jax.Sampler.from_workdir(workdir, batch_size=1)
    images, found = sampler.sample(["a red bird"], extras=["attention"])
    assert images.shape == (1, 16, 16, 3) and found["attention"].shape == (1, 8, 8, 9)
    assert (found["attention"][..., :5] > 0).all() and not found["attention"][..., 5:].any()
    _, ema = runs.load_ema(workdir)
    before, after = bert.read(folder)[1]["params"], ema["params"]["encoder"]
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), before, after)
    assert 0 < max(jax.tree.leaves(moved)) < 0.1
    assert networks.load(workdir, "encoder_start").module.pooling == "first"


def test_the_damsm_of_the_replaced_encoder_is_left_out_and_said(data_dir):
    """Unless the user names one."""
    file, given = f"{ROOT}/configs/attn_gan.py:cub", ["encoder.name=bert", "encoder.source=minilm"]
    found = fields.resolve(file, given)
    (note,) = found.notes
    assert "encoder.name='bert': the DAMSM of the config file was trained with another" in note
    assert "(frozen.damsm, loss.g.damsm_words, loss.g.damsm_sentence)" in note
    assert found.config.frozen.to_dict() == {} and not found.config.loss.g.damsm_words
    assert found.origins["loss.g.damsm_words"] == "follows encoder.name"
    named = fields.resolve(file, [*given, "frozen.damsm=runs/of_bert"])
    assert not named.notes and named.config.frozen.damsm == "runs/of_bert"
    assert named.config.loss.g.damsm_words == 5.0
    assert not fields.resolve(file, ["encoder.name=damsm"]).notes
    assert not fields.resolve(f"{ROOT}/configs/df_gan.py:cub", given).notes


def test_a_damsm_for_frozen_words(folder, data_dir, tmp_path):
    """Its image encoder fits what the same BERT gives a GAN."""
    with pytest.raises(ValueError, match="a text encoder of its own .* that end in '_minilm'"):
        loop.train(resolved("damsm", data_dir, folder), tmp_path / "no")
    given = [f"data.data_dir={data_dir}", f"encoder.source={folder}", "tokenizer.length=9"]
    given.append(f"image.embedding={TINY['hidden_size']}")
    config = fields.resolve(f"{ROOT}/configs/damsm.py:debug_minilm", given).config
    train(config, tmp_path / "damsm")
    _, ema = runs.load_ema(tmp_path / "damsm")
    assert ema["params"]["net"].keys() == {"image"}
    named = ["tokenizer.length=9", f"frozen.damsm={tmp_path / 'damsm'}"]
    system = build.build(resolved("attn_gan", data_dir, folder, *named))
    assert system.recipe.on("g.damsm_words") and system.frozen["damsm"].variables["params"]
    words = np.zeros((1, 9, system.encoder.width))
    system.recipe.check(Seen({}, Text(words[:, 0], words), None, system.variables))
    with pytest.raises(ValueError, match="encoder.train=joint .* 'damsm' has none"):
        config.encoder.train = "joint"
        loop.train(config, tmp_path / "joint")


def test_a_damsm_of_another_encoder_is_refused():
    recipe = SimpleNamespace(on="g.damsm_sentence".__eq__, damsm=CompactImageEncoder(embedding=12))
    seen = Seen({}, Text(np.zeros((1, 24))), None, {"damsm": {}})
    with pytest.raises(ValueError, match="of size 24, with those of frozen.damsm, of size 12"):
        damsm_terms.check(recipe, seen)


def test_published_weights_beside_a_bert(folder, tmp_path, capsys):
    """It brings its vocabulary: no captions.pickle is asked for."""
    release = attn_gan.RELEASE
    sizes = {"channels": 4, "condition_dim": 6, "noise_dim": 4, "residual_blocks": 1}
    module = release.generator(scales=2, base_size=16, **sizes, **release.fields)
    text = np.zeros((1, 24)), np.zeros((1, 3, 24)), np.ones((1, 3), bool)
    key, noise = jax.random.key(0), no_noise(module.noise_shapes)
    variables = random_like(lambda key: module.init(key, noise, *text, train=False), key)
    path = pth_files.write(tmp_path / "netG.pth", release.export_generator(module, variables))
    argv = ["--system=attn_gan", f"--generator={path}", f"--text_encoder={folder}"]
    argv += ["--encoder=bert", f"--workdir={tmp_path / 'run'}", "--tokenizer.length=9"]
    message = refused([*argv, "--captions=captions.pickle"], capsys)
    assert "'bert' is read by the tokenizer 'wordpiece'" in message
    import_weights.main(argv)
    assert "captions wordpiece: 40 ids, the first 9 are read" in capsys.readouterr().out
    assert networks.load(tmp_path / "run", "encoder").module.width == 24


@pytest.mark.weights
def test_minilm_by_its_name(data_dir):
    try:
        packages.folder("minilm")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    for system in ("gan_int_cls", "df_gan"):
        built = build.build(resolved(system, data_dir, "minilm"))
        assert built.encoder.width == 384 and built.tokenizer.vocab_size == 30522
        assert built.config.tokenizer.path == "" and built.tokenizer.length == 32


@pytest.mark.parametrize("source", ["random", "kept"])
def test_a_vocabulary_that_no_source_brings_is_asked_for(folder, data_dir, source, tmp_path):
    if source == "kept":  # of a run, its file alone
        networks.save(tmp_path, "encoder", networks.Network(*bert.read(folder)))
        source = str(networks.path_of(tmp_path, "encoder"))
    with pytest.raises(ValueError, match="tokenizer.path is empty: name BERT's tokenizer.json"):
        build.build(resolved("gan_int_cls", data_dir, source))
    vocabulary = f"tokenizer.path={folder}/vocab.txt"
    sizes = ["encoder.fields.width=8", "encoder.fields.heads=2", "encoder.fields.layers=1"]
    named = [vocabulary, "tokenizer.length=9", *(sizes if source == "random" else [])]
    built = build.build(resolved("gan_int_cls", data_dir, source, *named))
    assert built.encoder.vocab_size == built.tokenizer.vocab_size == 40
