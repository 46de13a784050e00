"""Dual encoders of a CLIP's folder and of runs, against their modules by hand, on four devices; and
which runs were trained with them.
"""

import warnings

import jax
import numpy as np
import pytest
import safetensors.numpy
from peers import clip_reference
from PIL import Image
from tiny_runs import debug_config, random_like, save

from t2i_jax.data import tokenizers, transforms
from t2i_jax.evaluation.extractors.base import EMBEDDING
from t2i_jax.evaluation.extractors.dual import load_dual, trained_with
from t2i_jax.interop import clip
from t2i_jax.recipes.terms import Seen
from t2i_jax.training import modules, networks, runs
from t2i_jax.training.checkpoints import Checkpoints
from t2i_jax.types import IMAGES, MASK, TOKENS

CAPTIONS = ["a red bird", "a small blue bird", "the bird", "blue", "a red red bird"]
TINY = {
    "damsm": ("text.word_dim=5", "text.embedding=8", "image.embedding=8", "image.widths=(4, 4, 4)"),
    "char_cnn_rnn": ("text.width=6", "text.embedding=8", "image.embedding=8"),
}


def pictures(side=40, count=5):
    return np.random.default_rng(side).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = clip_reference.folder_of("usual", tmp_path_factory.mktemp("clip"))
    (text, image) = clip._described(folder / "config.json")
    key = jax.random.key(0)
    halves = (
        random_like(text.init, key, np.zeros((1, 4), np.int32)),
        random_like(image.init, key, np.zeros((1, 30, 30, 3), np.float32), seed=1),
    )
    safetensors.numpy.save_file(clip.export_state(*halves), folder / "model.safetensors")
    return folder


def run_of(system: str, workdir):
    """(the directory, the recipe, the player's variables) of a run with random networks."""
    config = debug_config("encoder.source=", *TINY[system], system=system)
    tokenizer = tokenizers.from_config("char")
    if system == "damsm":
        words = ["<end>", "a", "red", "blue", "small", "bird", "the"]
        tokenizer = tokenizers.from_config("word", words=words, length=4)
        config.text.vocab_size = tokenizer.vocab_size
    recipe, side = modules.make_recipe(config), config.data.size
    ids, mask = tokenizer.encode(CAPTIONS[:1])
    batch = {IMAGES: np.zeros((1, side, side, 3), np.float32)}
    seen = Seen({**batch, TOKENS: ids[:, None], MASK: mask[:, None]})
    players = random_like(recipe.init, jax.random.key(0), seen)
    workdir.mkdir()
    runs.write_config(workdir, config)
    runs.write_tokenizer(workdir, tokenizer)
    with Checkpoints(runs.checkpoints_dir(workdir), asynchronous=False) as checkpoints:
        save(checkpoints, 3, config, players)
    return workdir, recipe, players["net"]


@pytest.fixture(scope="module", params=TINY)
def run(request, tmp_path_factory):
    return run_of(request.param, tmp_path_factory.mktemp("runs") / request.param)


def by_hand(run, images):
    """(of images, of captions), by the modules."""
    workdir, recipe, net = run
    own = {
        name: {kind: tree[name] for kind, tree in net.items() if name in tree}
        for name in ("text", "image")
    }
    size = runs.read_config(workdir).data.size
    seen = np.stack([transforms.resize(image, size, size) for image in images])
    found = recipe.image.apply(own["image"], seen.astype(np.float32) / 127.5 - 1, train=False)
    ids, mask = runs.read_tokenizer(workdir).encode(CAPTIONS)
    return getattr(found, "code", found), recipe.text.apply(own["text"], ids, mask).sentence


def test_vectors_of_a_run_are_those_of_its_modules(run):
    images = pictures()
    wanted = by_hand(run, images)
    dual = load_dual(run[0], batch_size=3)  # four rows at a time: one a device
    assert dual.images.widths == {EMBEDDING: 8}
    for found, expected in zip(
        (dual.images.extract(images)[EMBEDDING], dual.text(CAPTIONS)), wanted, strict=True
    ):
        assert found.shape == (5, 8) and np.std(found) > 1e-3
        np.testing.assert_allclose(found, expected, atol=2e-6, rtol=1e-4)
    assert dual.images.extract(images[:0])[EMBEDDING].shape == (0, 8)
    assert "step 3" in dual.images.description and dual.source == str(run[0])


def test_vectors_of_clip_are_those_of_its_modules(clip_folder, monkeypatch):
    model, images = clip.read(clip_folder), pictures()
    dual = load_dual(clip_folder, batch_size=3)
    small = [Image.fromarray(x).resize((36, 36), Image.Resampling.BICUBIC) for x in images]
    middle = np.stack([np.asarray(x)[3:33, 3:33] for x in small]) / 255
    pixels = (middle - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    module, variables = model.image
    wanted = module.apply(variables, pixels.astype(np.float32))
    np.testing.assert_allclose(dual.images.extract(images)[EMBEDDING], wanted, atol=1e-5)
    module, variables = model.text
    wanted = module.apply(variables, model.tokenizer.encode(CAPTIONS)[0])
    np.testing.assert_allclose(dual.text(CAPTIONS), wanted, atol=1e-5)
    assert dual.text([]).shape == dual.images.extract(images[:0])[EMBEDDING].shape == (0, 16)
    # The usual place, by its name.
    monkeypatch.setenv("T2I_JAX_WEIGHTS", str(clip_folder / "nowhere"))
    assert load_dual("clip", clip_folder).images.digest == dual.images.digest
    with pytest.raises(FileNotFoundError) as error:
        load_dual("clip")
    told = str(error.value)
    assert str(clip_folder / "nowhere" / "clip_vit_b32") in told and "clip-vit-base-patch32" in told
    assert all(name in told for name in ("config.json", "pytorch_model.bin", "merges.txt"))


def test_other_weights_or_preprocessing_have_another_digest(clip_folder, tmp_path):
    for name in ("config.json", "vocab.json", "merges.txt", "model.safetensors"):
        (tmp_path / name).write_bytes((clip_folder / name).read_bytes())
    told = (clip_folder / "preprocessor_config.json").read_text()
    (tmp_path / "preprocessor_config.json").write_text(told.replace("0.4]", "0.41]"))
    one, other = load_dual(clip_folder), load_dual(tmp_path)
    assert one.images.digest != other.images.digest and one.parts == other.parts
    (tmp_path / "preprocessor_config.json").write_text(told)
    assert load_dual(tmp_path).images.digest == one.images.digest
    state = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    state["visual_projection.weight"][0, 0] += 1e-3
    safetensors.numpy.save_file(state, tmp_path / "model.safetensors")
    again = load_dual(tmp_path)
    assert again.images.digest != one.images.digest
    assert {k: again.parts[k] == one.parts[k] for k in one.parts} == {"image": False, "text": True}


def test_captions_that_are_not_read_are_told_with_their_number(clip_folder, run):
    with pytest.warns(UserWarning) as told:
        load_dual(clip_folder).text(["a red bird", "red " * 40, "red " * 30, "..."])
    told = [str(warning.message) for warning in told]
    assert "clip: 1 of 4 captions looked at cannot be read at all: '...'" in told
    (cut,) = (text for text in told if "longer than" in text)
    assert "2 of 4 captions" in cut and "length=20" in cut and "the longest has 42" in cut
    dual = load_dual(run[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dual.text(["a red bird"])
    with pytest.warns(UserWarning) as told:
        dual.text(["鳥", "a red bird"])
    told = [str(warning.message) for warning in told]
    assert any("1 of 2 captions looked at cannot be read at all: '鳥'" in text for text in told)
    with pytest.raises(ValueError, match=r"caption 2, .*: half a character at place 2"):
        dual.text(["a", "a \ud83d"])


def test_a_run_that_was_trained_with_an_encoder_is_known(tmp_path):
    source, _, _ = run_of("damsm", tmp_path / "damsm")
    gan = tmp_path / "gan"
    gan.mkdir()
    runs.write_config(gan, debug_config("data.size=32", system="attn_gan"))
    dual = load_dual(source)
    assert trained_with(gan, dual) == []
    network = networks.resolve("x", str(source), "image")
    networks.save(gan, "damsm", network)
    networks.save(gan, "encoder", networks.resolve("x", str(source), "text"))
    assert trained_with(gan, dual) == ["damsm", "encoder"]
    # The GAN's own run leads to them, too.
    runs.write_tokenizer(gan, runs.read_tokenizer(source))
    kept, images = load_dual(gan), pictures(runs.read_config(gan).data.size)
    assert kept.parts == dual.parts and trained_with(gan, kept) == ["damsm", "encoder"]
    np.testing.assert_allclose(kept.text(CAPTIONS), dual.text(CAPTIONS), atol=1e-6)
    found, wanted = (d.images.extract(images)[EMBEDDING] for d in (kept, dual))
    assert kept.images.preprocessing == dual.images.preprocessing
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    other = jax.tree.map(np.copy, network.variables)
    leaf = jax.tree.leaves(other["params"])[0]
    leaf.flat[0] = np.nextafter(leaf.flat[0], np.float32(9))
    networks.save(gan, "damsm", networks.Network(network.module, other))
    assert trained_with(gan, dual) == ["encoder"]
    assert trained_with(source, dual) == ["damsm"]  # its own system
    with pytest.raises(FileNotFoundError, match="is no run directory"):
        trained_with(tmp_path, dual)


def test_other_sources_are_refused(tmp_path, clip_folder):
    gan = tmp_path / "gan"
    gan.mkdir()
    for source in ("no/where", ""):
        with pytest.raises(ValueError, match="is no dual encoder: give 'clip', the folder of a CL"):
            load_dual(source)
    with pytest.raises(ValueError, match="no config.json there; a folder of a CLIP has"):
        load_dual(gan)
    with pytest.raises(ValueError, match="weights='x' are for 'clip'"):
        load_dual(clip_folder, "x")
