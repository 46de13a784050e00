"""Networks of other runs: found by part, kept in the run that uses them, told when they change."""

import shutil

import jax
import numpy as np
import pytest
from evaluation.tiny_subjects import encoder_run
from tiny_runs import ROOT, gan_run, style_run

from t2i_jax import config as configs
from t2i_jax.encoders.char_cnn_rnn import TextEncoder
from t2i_jax.encoders.small_image_net import SmallImageNet
from t2i_jax.interop import weights
from t2i_jax.models import gan_int_cls
from t2i_jax.training import build, networks, runs


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    workdir = encoder_run(tmp_path_factory.mktemp("runs") / "encoder")
    tokenizer = build._tokenizer(runs.read_config(workdir), None, None, None)
    runs.write_tokenizer(workdir, tokenizer)
    return workdir


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    return gan_run(tmp_path_factory.mktemp("runs") / "gan")


def same(a, b) -> bool:
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_parts_of_a_run(encoder, gan, tmp_path):
    _, ema = runs.load_ema(encoder)
    trained = ema["params"]["net"]
    text = networks.resolve("encoder.source", str(encoder), "text", TextEncoder)
    assert same(text.variables, {"params": trained["text"]})
    assert text.tokenizer.name == "char" and text.module.embedding == 12
    image = networks.resolve("frozen.x", f"{encoder}:image", "text")
    assert isinstance(image.module, SmallImageNet) and same(
        image.variables, {"params": trained["image"], **_inside(ema["stats"]["net"], "image")}
    )
    _, ema = runs.load_ema(gan)
    generator = networks.resolve("frozen.generator", str(gan), "generator")
    assert isinstance(generator.module, gan_int_cls.Generator)
    assert same(generator.variables, {"params": ema["params"]["g"], **ema["stats"]["g"]})
    # The text encoder of a GAN's run, frozen or trained with it.
    kept = networks.resolve("encoder.source", f"{gan}:encoder", "text", TextEncoder)
    assert same(kept.variables, networks.load_variables(gan, "encoder"))
    assert kept.tokenizer.name == "char"
    joint = gan_run(tmp_path / "joint", "encoder.train=joint")
    _, ema = runs.load_ema(joint)
    taken = networks.resolve("encoder.source", f"{joint}:encoder", "text", TextEncoder)
    assert same(taken.variables, {"params": ema["params"]["encoder"]})


def _inside(stats, name):
    return {kind: tree[name] for kind, tree in stats.items()}


def test_kept_networks_are_weights_files(encoder, tmp_path):
    """A network that a run has kept describes itself: its file is a source like a run."""
    network = networks.resolve("encoder.source", str(encoder), "text", TextEncoder)
    networks.save(tmp_path, "encoder", network)
    path = networks.path_of(tmp_path, "encoder")
    again = networks.resolve("encoder.source", str(path), "text", TextEncoder)
    assert same(again.variables, network.variables)
    assert again.module == network.module and networks.digest(again) == networks.digest(network)


@pytest.mark.parametrize(
    "source, part, kind, message",
    [
        ("nowhere", "text", TextEncoder, "frozen.x='nowhere' is neither a run directory"),
        ("{gan}", "text", TextEncoder, "trained 'gan_int_cls' and has no part 'text'"),
        ("{encoder}:imag", "text", SmallImageNet, "no part 'imag'; did you mean 'image'"),
        ("{encoder}:image", "text", TextEncoder, "SmallImageNet, but a .*:TextEncoder is needed"),
        ("{file}", "text", TextEncoder, "does not say which network it holds"),
        ("{photo}", "image", SmallImageNet, "no published files are known for 'image'"),
        ("{folder}", "text", TextEncoder, "frozen.x='.*' is a folder, but no run directory"),
    ],
)
def test_what_is_no_source_is_told(encoder, gan, tmp_path, source, part, kind, message):
    file, photo = tmp_path / "plain.safetensors", tmp_path / "photo.jpg"
    weights.save(file, {"params": {"x": np.zeros(2)}})
    photo.write_bytes(b"")
    # tmp_path as a whole is what a run that ended before its first step leaves: files, no config.
    source = source.format(gan=gan, encoder=encoder, file=file, photo=photo, folder=tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        networks.resolve("frozen.x", source, part, kind)


def gan_config(encoder):
    config = configs.load(f"{ROOT}/configs/gan_int_cls.py:debug")
    config.encoder.source = str(encoder)
    return config


def test_a_run_goes_on_with_the_network_it_has_kept(encoder, tmp_path):
    """Source moved: nothing changes. Source changed: told by name, and nothing changes."""
    source, workdir = tmp_path / "source", tmp_path / "run"
    shutil.copytree(encoder, source)
    begun = build.build(gan_config(source))
    for name, network in begun.frozen.items():
        networks.save(workdir, name, network)
    runs.write_tokenizer(workdir, begun.tokenizer)
    resumed = build.build(gan_config(source), workdir)
    assert not resumed.notes and same(resumed.variables, begun.variables)

    shutil.move(source, tmp_path / "elsewhere")
    moved = build.build(gan_config(source), workdir)
    assert not moved.notes and same(moved.variables, begun.variables)
    assert moved.encoder == begun.encoder and moved.tokenizer.name == "char"
    elsewhere = build.build(gan_config(tmp_path / "elsewhere"), workdir)
    assert not elsewhere.notes

    other = encoder_run(tmp_path / "other", "text.width=10")
    changed = build.build(gan_config(other), workdir)
    (note,) = changed.notes
    assert f"encoder.source='{other}' has changed since this run began" in note
    assert str(networks.path_of(workdir, "encoder")) in note
    assert same(changed.variables, begun.variables) and changed.encoder == begun.encoder


def test_the_style_encoder_takes_a_generator(gan, encoder, tmp_path):
    config = configs.load(f"{ROOT}/configs/style_encoder.py:cub")
    configs.override(config, ["net.image_size=32", "net.channels=4", "net.noise_dim=4"])
    config.encoder.source = str(encoder)
    config.frozen.generator = str(gan)
    system = build.build(config)
    assert system.recipe.generator.channels == 4 and set(system.frozen) == {"encoder", "generator"}
    config.frozen = {"critic": str(gan)}
    with pytest.raises(ValueError, match="frozen.critic: .*style_encoder takes no network"):
        build.build(config)
    style = style_run(tmp_path / "style")
    config.frozen = {"generator": str(style)}
    with pytest.raises(ValueError, match="'style_encoder' and has no part 'generator'"):
        build.build(config)
