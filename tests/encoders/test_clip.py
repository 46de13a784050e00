"""CLIP's folders, captions, images and networks; against `transformers` itself in tests/peers."""

import json
import pickle

import jax
import numpy as np
import pth_files
import pytest
import safetensors.numpy
from peers import clip_reference as reference
from tiny_runs import random_like

from t2i_jax.data.tokenizers.byte_pair import ClipTokenizer
from t2i_jax.encoders.clip import ImageTransformer, TextTransformer
from t2i_jax.interop import clip, clip_images

BIRDS = ["a red bird", "the bird's wing is red"]


def random_state(folder):
    """Arrays for the model that a folder describes."""
    text, image = clip._described(folder / "config.json")
    key, ids = jax.random.key(0), np.zeros((1, 4), np.int32)
    pixels = np.zeros((1, image.image_size, image.image_size, 3), np.float32)
    halves = random_like(text.init, key, ids), random_like(image.init, key, pixels, seed=1)
    return clip.export_state(*halves, logit_scale=20.0)


@pytest.fixture
def folder(tmp_path):
    place = reference.folder_of("usual", tmp_path)
    safetensors.numpy.save_file(random_state(place), place / "model.safetensors")
    return place


def apply(half, given):
    module, variables = half
    return np.asarray(jax.jit(module.apply)(variables, given))


def test_the_published_number_of_parameters():
    """Of ViT-B/32: 151,277,313 with the logit scale."""
    text, image = TextTransformer(), ImageTransformer()
    key = jax.random.key(0)
    made = (
        jax.eval_shape(text.init, key, np.zeros((1, 77), np.int32)),
        jax.eval_shape(image.init, key, np.zeros((1, 224, 224, 3), np.float32)),
    )
    assert sum(x.size for x in jax.tree.leaves(made)) + 1 == 151_277_313


def test_a_vector_does_not_depend_on_padding_or_neighbours(folder):
    model = clip.read(folder)
    assert model.logit_scale == pytest.approx(20.0)
    ids, mask = model.tokenizer.encode(["a red bird", "a red", "red bird red bird"])
    assert ids.shape == (3, 20) and mask.sum(axis=1).tolist() == [5, 4, 6]
    found = apply(model.text, ids)
    assert found.shape == (3, 16) and np.std(found) > 0.05
    assert np.abs(found[0] - found[1]).max() > 0.01
    rubbish = np.where(mask, ids, 7)
    np.testing.assert_allclose(apply(model.text, rubbish), found, atol=1e-6)
    np.testing.assert_allclose(apply(model.text, ids[:1, :5]), found[:1], atol=1e-5)
    swapped = ids[:1].copy()
    swapped[0, [1, 2]] = swapped[0, [2, 1]]
    assert np.abs(apply(model.text, swapped) - found[0]).max() > 0.01  # order matters
    pixels = np.random.default_rng(0).normal(size=(3, 30, 30, 3)).astype(np.float32)
    images = apply(model.image, pixels)
    np.testing.assert_allclose(apply(model.image, pixels[1:2]), images[1:2], atol=1e-5)
    assert images.shape == (3, 16) and np.abs(images[0] - images[1]).max() > 0.01


def test_both_rules_of_a_captions_end(folder):
    """The first place of the end's id, or that of the highest id: the same where it is the highest
    one, and no other place of a caption.
    """
    module, variables = clip.read(folder).text
    ids = np.array([[5, 9, module.end, 4, module.end]], np.int32)
    usual = apply((module, variables), ids)
    np.testing.assert_array_equal(apply((module.clone(end=2), variables), ids), usual)
    other = apply((module.clone(end=9), variables), ids)
    short = apply((module.clone(end=9), variables), ids[:, :2])
    np.testing.assert_allclose(other, short, atol=1e-5)
    assert np.abs(other - usual).max() > 0.01


def test_files_of_all_kinds_hold_the_same(folder, tmp_path):
    model = clip.read(folder)
    state = safetensors.numpy.load_file(folder / "model.safetensors")
    again = clip.export_state(model.text[1], model.image[1], model.logit_scale)
    assert again.keys() == state.keys()
    for name, array in again.items():
        np.testing.assert_allclose(array, state[name], rtol=1e-6)
    (folder / "model.safetensors").unlink()
    old = {**state, "text_model.embeddings.position_ids": np.arange(20)[None]}
    pth_files.write(folder / "pytorch_model.bin", old)
    others = [clip.read(folder)]
    (folder / "pytorch_model.bin").unlink()
    where = {name: f"part{i % 2}.safetensors" for i, name in enumerate(state)}
    for part in set(where.values()):
        own = {name: array for name, array in state.items() if where[name] == part}
        safetensors.numpy.save_file(own, folder / part)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    others.append(clip.read(folder))
    for other in others:
        for half in ("text", "image"):
            (module, variables), (wanted, expected) = getattr(other, half), getattr(model, half)
            assert module == wanted
            jax.tree.map(np.testing.assert_array_equal, variables, expected)
    (folder / "part1.safetensors").unlink()
    with pytest.raises(ValueError, match="part1.safetensors is missing, which model.safetensors.i"):
        clip.read(folder)


def test_captions(folder):
    tokenizer = clip.read(folder).tokenizer
    ids, mask = tokenizer.encode(["  A  RED\n bird ", "a red bird", ""])
    np.testing.assert_array_equal(ids[0], ids[1])
    begin, end = tokenizer.vocab_size - 2, tokenizer.vocab_size - 1
    assert ids[2].tolist() == [begin] + 19 * [end] and mask[2].sum() == 2
    assert tokenizer.decode(ids) == ["a red bird ", "a red bird ", ""]
    assert tokenizer.unknown("鳥 <|endoftext|> bird") == []  # of bytes, the name of a token too
    named = tokenizer.encode(["a <|endoftext|> b"])[0][0]
    assert named.tolist().index(end) == tokenizer.count("a <|endoftext|> b") - 1 > 5
    long = "red " * 30
    cut = tokenizer.encode([long])[0][0]
    assert tokenizer.count(long) == 32 and cut[-1] == end and len(set(cut[1:-1])) == 1
    again = pickle.loads(pickle.dumps(tokenizer))
    np.testing.assert_array_equal(again.encode(BIRDS)[0], tokenizer.encode(BIRDS)[0])


def test_images_are_cut_from_the_middle(folder):
    """A picture of the right size is not touched; a broad one loses its sides."""
    preprocessing = clip_images.read(folder / clip.PREPROCESSOR, 30)
    exact = np.random.default_rng(0).integers(0, 256, (2, 36, 36, 3)).astype(np.uint8)
    np.testing.assert_array_equal(preprocessing.cut(exact), exact[:, 3:33, 3:33])
    broad = np.zeros((1, 72, 216, 3), np.uint8)
    broad[:, :, 72:144] = 200
    assert (preprocessing.cut(broad)[:, :, 4:26] == 200).all()
    scaled = preprocessing.scaled(np.full((1, 1, 1, 3), 255, np.uint8))
    np.testing.assert_allclose(scaled[0, 0, 0], [0.5 / 0.2, 0.6 / 0.3, 0.7 / 0.4], rtol=1e-6)


def change(path, **changes):
    told = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in told.items() if v is not None}))


@pytest.mark.parametrize(
    "file, changes, message",
    [
        ("config", {"model_type": "siglip"}, "model_type='siglip', but only models with 'clip'"),
        ("config", {"projection_dim": "16"}, "projection_dim='16', but it must be a whole"),
        ("config", {"text_config": [1]}, "text_config: an object is needed, not list"),
        (
            "config",
            {"text_config_dict": {"hidden_size": 5}},
            "hidden_size is 24 in text_config",
        ),
        (
            "config",
            {"projection_dim": 12},
            "model.safetensors: these are not the weights of the",
        ),
        ("preprocessor_config", {"do_rescale": False}, "do_rescale=False, but it must be true"),
        ("preprocessor_config", {"resample": 2}, r"resample=2, but only 3 \(bicubic\) is done"),
        ("preprocessor_config", {"size": {"height": 9, "width": 9}}, "must be a side in pixels"),
        (
            "preprocessor_config",
            {"crop_size": 28},
            "28 are cut out, but the network of",
        ),
        ("preprocessor_config", {"image_mean": None}, "image_mean=None, but it must be three numb"),
        ("preprocessor_config", {"image_std": [1, 0, 1]}, "image_std=.*must be three numbers"),
        (
            "preprocessor_config",
            {"rescale_factor": 1.0},
            "rescale_factor=1.0, but it must be",
        ),
    ],
)
def test_folders_of_something_else_are_refused(folder, file, changes, message):
    change(folder / f"{file}.json", **changes)
    with pytest.raises(ValueError, match=message):
        clip.read(folder)


@pytest.mark.parametrize(
    "half, changes, message",
    [
        (
            "text",
            {"hidden_act": "silu"},
            "text_config: hidden_act='silu', but it must be one of",
        ),
        ("text", {"num_attention_heads": 5}, "width=24 is no multiple of heads=5"),
        ("text", {"eos_token_id": 7}, "ends captions with .* and eos_token_id=7: they are of diff"),
        ("text", {"vocab_size": 40}, "config.json says vocab_size=40"),
        ("vision", {"layer_norm_eps": -1}, "vision_config: layer_norm_eps=-1, but it must be"),
        ("vision", {"num_channels": 1}, "num_channels=1, but it must be 3"),
        ("vision", {"num_hidden_layers": 4}, "layers.3.self_attn.q_proj.weight is missing"),
    ],
)
def test_halves_of_something_else_are_refused(folder, half, changes, message):
    path = folder / "config.json"
    section = {**json.loads(path.read_text())[f"{half}_config"], **changes}
    change(path, **{f"{half}_config": section})
    with pytest.raises(ValueError, match=message):
        clip.read(folder)


@pytest.mark.parametrize(
    "file, content, message",
    [
        (
            "config.json",
            None,
            "no config.json there; a folder of a CLIP has config.json",
        ),
        ("config.json", b"{", "config.json: not readable as JSON"),
        ("preprocessor_config.json", None, "preprocessor_config.json is missing: it tells how"),
        ("merges.txt", None, "no tokenizer there; tokenizer.json, or vocab.json and merges.txt"),
        ("merges.txt", b"x yz q\n", "merges.txt: not the merges of vocab.json"),
        ("vocab.json", b'{"a": 0}', "vocab.json: not CLIP's vocabulary: it lacks <.startoftext.>"),
        ("tokenizer.json", b"{}", "tokenizer.json: not a tokenizer.json"),
        ("model.safetensors", None, "one of model.safetensors or pytorch_model.bin is needed"),
        ("model.safetensors", b"no", "model.safetensors: not a readable safetensors file"),
    ],
)
def test_files_that_are_missing_or_broken_are_named(folder, file, content, message):
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        clip.read(folder)


def test_another_tokenizer_is_refused(folder):
    import tokenizers

    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
    words.save(str(folder / "tokenizer.json"))
    with pytest.raises(ValueError, match="tokenizer.json: not a tokenizer of CLIP's"):
        ClipTokenizer.from_file(folder)
