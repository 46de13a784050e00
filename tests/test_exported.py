"""An exported folder draws what its run draws; what is damaged or not trusted is refused."""

import json
import pathlib
import shutil
import stat
import sys

import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util
from tiny_runs import any_run, gan_run

from t2i_jax import Sampler
from t2i_jax.exporting import package
from t2i_jax.interop import weights
from t2i_jax.training import exported, networks, runs, sealed

CAPTIONS = ["a small red bird", "a blue bird with black wings"]
FILES = ["config.json", "model.safetensors", "tokenizer.json", "frozen/encoder.safetensors"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return gan_run(tmp_path_factory.mktemp("runs") / "gan")


@pytest.fixture(scope="module")
def original(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "birds"
    package.write(run, folder, captions=CAPTIONS[:1])
    return folder


@pytest.fixture
def export(original, tmp_path):
    """A copy, to be spoilt."""
    return shutil.copytree(original, tmp_path / "copy")


def reseal(folder: pathlib.Path) -> None:
    """Makes the digests right again, as whoever writes a folder can."""
    sealed.write(folder / "export.json", exported.describe(folder, 1))


# --- the same images -----------------------------------------------------------------------------


def with_trained_encoder(folder):
    return gan_run(folder, "encoder.train=joint", steps=[1])


def made(system: str, arg: str = "debug"):
    return lambda folder: any_run(folder, system=system, arg=arg)


RUNS = {
    "trained encoder": (with_trained_encoder, []),
    "words": (made("attn_gan"), ["attention"]),
    "kept discriminator": (made("xmc_gan"), ["attention"]),
    "two stages": (made("stack_gan_v1_stage2"), ["mu"]),
    "no text": (made("stack_gan_v2", "debug_unconditional"), []),
}


@pytest.mark.parametrize("make, extras", RUNS.values(), ids=RUNS)
def test_images_are_those_of_the_run(make, extras, tmp_path):
    """All sizes, and what the system shows beside them, when the run is gone."""
    run = make(tmp_path / "run")
    sampler = Sampler.from_workdir(run, batch_size=4)
    captions = CAPTIONS if sampler.config.encoder.name else None
    asked = {"captions": captions, "num": 2, "seed": 3, "scale": "all"}
    expected = sampler.sample(**asked, extras=extras)
    package.write(run, tmp_path / "here")
    shutil.rmtree(run)
    moved = shutil.move(tmp_path / "here", tmp_path / "there")
    found = Sampler.from_pretrained(moved, batch_size=4).sample(**asked, extras=extras)
    if extras:
        found, expected = ((*drawn, *shown.values()) for drawn, shown in (found, expected))
    assert len(found) == len(expected)
    assert len(np.unique(expected[0])) > 20, "no contrast: the test would say nothing"
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_are_read_by_others(run, original):
    config, ema = runs.load_ema(run)
    found = safetensors.numpy.load_file(original / "model.safetensors")
    expected = traverse_util.flatten_dict(ema, sep="/")
    assert found.keys() == expected.keys() and len(found) > 5
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_a_second_export_is_the_same_to_the_byte(run, original, tmp_path):
    """So that a push uploads what has changed alone."""
    package.write(run, tmp_path / "birds", captions=CAPTIONS[:1])
    for path in filter(pathlib.Path.is_file, original.rglob("*")):
        assert (tmp_path / "birds" / path.relative_to(original)).read_bytes() == path.read_bytes()


def test_an_earlier_step(run, tmp_path):
    package.write(run, tmp_path / "one", step=1)
    drawn = [
        Sampler.from_pretrained(tmp_path / "one", batch_size=2).sample(CAPTIONS),
        *(Sampler.from_workdir(run, step, batch_size=2).sample(CAPTIONS) for step in (1, 2)),
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[1] != drawn[2]).any()


def test_it_stands_in_the_place_of_a_run(run, original):
    assert runs.latest_step(original) == 2 and runs.steps(original) == [2]
    images = Sampler.from_workdir(original, batch_size=2).sample(CAPTIONS)
    expected = Sampler.from_workdir(run, batch_size=2).sample(CAPTIONS)
    np.testing.assert_array_equal(images, expected)
    with pytest.raises(FileNotFoundError, match="no step 1: it was exported of step 2"):
        Sampler.from_workdir(original, step=1)
    sources = [networks.resolve("encoder.source", f"{w}:encoder", "text") for w in (run, original)]
    assert networks.digest(sources[0]) == networks.digest(sources[1])
    assert sources[1].tokenizer.name == "char"
    assert runs.ema_records(original, 2) == runs.ema_records(run, 2)


def test_others_may_read_every_file(original):
    plain = original.with_name("plain")
    plain.write_text("as this account writes files")
    for path in original.rglob("*.*"):
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode), path


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FILES, "export.json"])
def test_a_flipped_bit_is_refused_by_the_files_name(export, name):
    """Anywhere in the file: also in the header of safetensors, and in JSON's spaces."""
    content = (export / name).read_bytes()
    for place in (9, len(content) // 2, len(content) - 3):
        spoilt = bytearray(content)
        spoilt[place] ^= 4
        (export / name).write_bytes(spoilt)
        with pytest.raises(ValueError, match=pathlib.Path(name).name):
            Sampler.from_pretrained(export)


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_of_another_run_is_refused(export, tmp_path, name):
    """Which only the manifest can know."""
    overrides = ["encoder.fields.embedding=16", "generator.channels=8"]
    package.write(gan_run(tmp_path / "other", *overrides), tmp_path / "out")
    if name == "tokenizer.json":
        state = runs.read_tokenizer(tmp_path / "out").to_json()
        sealed.write(tmp_path / "out" / name, {**state, "length": 99})
    shutil.copy(tmp_path / "out" / name, export / name)
    with pytest.raises(ValueError, match=f"{pathlib.Path(name).name} is damaged, or was changed"):
        Sampler.from_pretrained(export)


@pytest.mark.parametrize("name", [*FILES, "export.json"])
def test_a_missing_file_is_named(export, name):
    (export / name).unlink()
    with pytest.raises(FileNotFoundError, match=pathlib.Path(name).name):
        Sampler.from_pretrained(export)


def test_a_card_may_be_edited(export):
    (export / "README.md").write_text("Mine.")
    (export / "samples.png").unlink()
    Sampler.from_pretrained(export)


def test_formats(export, tmp_path):
    manifest = sealed.read(export / "export.json")
    sealed.write(export / "export.json", {**manifest, "format": 2})
    with pytest.raises(ValueError, match="format 2, .* reads up to 1: install a newer one"):
        Sampler.from_pretrained(export)
    for files in ([], {}, {**manifest["files"], "../secret": "00"}):
        sealed.write(export / "export.json", {**manifest, "files": files})
        with pytest.raises(ValueError, match="export.json is damaged"):
            Sampler.from_pretrained(export)
    (tmp_path / "other").mkdir()
    with pytest.raises(FileNotFoundError, match="is no exported folder: it has no export.json"):
        Sampler.from_pretrained(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="no such folder, nor is it USER/NAME"):
        Sampler.from_pretrained(tmp_path / "nothing here")


@pytest.mark.parametrize("name", FILES[1:])
def test_a_training_takes_no_network_of_a_spoilt_folder(export, name):
    """Also where the network itself is whole, as of another run."""
    (export / name).rename(export / "elsewhere")
    source = f"{export}:encoder"
    with pytest.raises(FileNotFoundError, match=f"{name} is missing, a part of the exported"):
        networks.resolve("encoder.source", source, "text")
    (export / name).write_bytes((export / "elsewhere").read_bytes() + b" ")
    with pytest.raises(ValueError, match=f"{name} is damaged, or was changed since the export"):
        networks.resolve("encoder.source", source, "text")


# --- modules -------------------------------------------------------------------------------------


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A module that can be imported and leaves a trace; its `Recipe` is GAN-INT-CLS's."""
    (tmp_path / "stranger.py").write_text(
        "import pathlib\n"
        "pathlib.Path(__file__).with_name('executed').touch()\n"
        "from t2i_jax.recipes.gan_int_cls import Recipe\n"
        "from t2i_jax.encoders.char_cnn_rnn import TextEncoder\n"
    )
    (tmp_path / "guests").mkdir()
    shutil.copy(tmp_path / "stranger.py", tmp_path / "guests" / "stranger.py")
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda: any(tmp_path.rglob("executed"))
    for name in ("stranger", "guests", "guests.stranger"):
        sys.modules.pop(name, None)


def name_in_config(field, value):
    def edit(folder):
        config = runs.read_config(folder)
        *sections, last = field.split(".")
        section = config
        for name in sections:
            section = section[name]
        with section.unlocked():
            section[last] = value
        runs.write_config(folder, config)

    return edit


def name_in_network(folder):
    variables, metadata = weights.load(folder / "frozen" / "encoder.safetensors")
    named = {**metadata, "module": "stranger:TextEncoder"}
    weights.save(folder / "frozen" / "damsm.safetensors", variables, named)


EDITS = {
    "system": name_in_config("system", "guests.stranger"),
    "encoder": name_in_config("encoder.name", "guests.stranger"),
    "section": name_in_config("generator.module", "stranger:Generator"),
    "data": name_in_config("data.name", "stranger:Birds"),
    "network": name_in_network,
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_modules_of_others_are_not_imported(export, stranger, edit):
    """By no road that reads the folder."""
    edit(export)
    reseal(export)
    roads = (
        Sampler.from_pretrained,
        Sampler.from_workdir,
        runs.load_ema,
        lambda folder: networks.resolve("encoder.source", f"{folder}:encoder", "text"),
    )
    for road in roads:
        with pytest.raises(ValueError, match=r"stranger.* is no part of t2i_jax.*trust_modules"):
            road(export)
    assert not stranger()


def test_modules_that_are_trusted(export, stranger):
    expected = Sampler.from_pretrained(export, batch_size=2).sample(CAPTIONS)
    EDITS["system"](export)
    reseal(export)
    found = Sampler.from_pretrained(export, batch_size=2, trust_modules=True).sample(CAPTIONS)
    np.testing.assert_array_equal(found, expected)
    assert stranger()


# --- writing -------------------------------------------------------------------------------------


def test_nothing_else_is_replaced(run, export, tmp_path):
    package.write(run, export, step=1)  # an earlier export is
    assert runs.latest_step(export) == 1 and not (export / "samples.png").exists()
    card = (export / "README.md").read_text()
    (export / "README.md").write_text(f"{card}\nMine.")
    with pytest.raises(ValueError, match="README.md was edited since the export"):
        package.write(run, export)
    (export / "README.md").write_text(card)
    (export / "notes.txt").touch()
    with pytest.raises(ValueError, match="notes.txt, which is of no such export"):
        package.write(run, export)
    (export / "notes.txt").unlink()
    (export / "export.json").unlink()
    with pytest.raises(ValueError, match="which is of no such export"):
        package.write(run, export)
    with pytest.raises(ValueError, match="file.txt, which is of no such export"):
        (tmp_path / "file.txt").touch()
        package.write(run, tmp_path / "file.txt")


def test_whole_or_not(run, export, monkeypatch):
    """What fails at the last file leaves the earlier export, and nothing beside it."""
    before = {p: p.read_bytes() for p in export.rglob("*") if p.is_file()}

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(package.sealed, "write", fail)
    with pytest.raises(OSError, match="no space left"):
        package.write(run, export, step=1)
    assert {p: p.read_bytes() for p in export.rglob("*") if p.is_file()} == before
    assert list(export.parent.iterdir()) == [export]


def test_what_is_not_exported(run, original, tmp_path):
    with pytest.raises(FileNotFoundError, match="no run directory"):
        package.write(tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="no whole checkpoint of step 9"):
        package.write(run, tmp_path / "out", step=9)
    with pytest.raises(ValueError, match="an exported folder already"):
        package.write(original, tmp_path / "out")
    spoilt = shutil.copytree(run, tmp_path / "spoilt")
    path = spoilt / "frozen" / "encoder.safetensors"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="encoder.safetensors: damaged"):
        package.write(spoilt, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_place_of_this_machine_is_told(tmp_path):
    run = gan_run(
        tmp_path / "private" / "run",
        f"data.data_dir={tmp_path}/private/data",
        f"encoder.source={tmp_path}/private/runs/encoder:text",
        "data.name=mylab.private_birds:Birds/side64",
        steps=[1],
    )
    package.write(run, tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.*"):
        assert str(tmp_path).encode() not in path.read_bytes(), path
        assert b"mylab" not in path.read_bytes(), path
    found = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (found["data"]["data_dir"], found["data"]["name"]) == ("data", "Birds/side64")
    assert found["encoder"]["source"] == "encoder:text"
