"""What docs/extending.md and docs/data.md show works as it stands there, outside the package."""

import pathlib
import re
import shutil
import sys

import jax
import numpy as np
import pytest
from devices import use_devices
from evaluation.tiny_subjects import encoder_run
from PIL import Image
from train_commands import Command, metrics

from t2i_jax import CaptionWarning, Sampler
from t2i_jax.data import catalog, tokenizers, toy_birds
from t2i_jax.data.tokenizers import caption_words
from t2i_jax.encoders.small_image_net import SmallImageNet
from t2i_jax.training import build, fields, loop, networks, runs
from t2i_jax.types import IMAGES, MASK, TOKENS

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
CONFIG = "my_gan_config.py"
PAGES = {
    "extending.md": ["mylab/my_gan.py", CONFIG, "mylab/my_text_encoder.py"],
    "data.md": ["mylab/my_birds.py"],
}
TINY = {
    "data.size": 16,
    "data.batch": 8,
    "generator.image_size": 16,
    "generator.channels": 4,
    "generator.noise_dim": 4,
    "discriminator.channels": 4,
    "train.duration": "2 steps",
    "train.log_every": "1 steps",
    "train.sample_every": "0 steps",
    "train.checkpoint_every": "1 steps",
}
WORDS = {
    "encoder.name": "mylab.my_text_encoder",
    "encoder.source": "",
    "encoder.train": "joint",
    "tokenizer.name": "word",
}


def shown(page: str) -> dict[str, str]:
    """The files of a page by the names that stand before them."""
    text, found = (DOCS / page).read_text(), {}
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        name = re.findall(r"`([\w/]+\.py)`", text[: block.start()])[-1]
        found[name] = block[1]
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with the files of the pages, from which modules are imported; with toy birds, and
    the run of a text encoder and its image network.
    """
    folder = tmp_path_factory.mktemp("lab")
    (folder / "mylab").mkdir()
    for page, names in PAGES.items():
        files = shown(page)
        assert list(files) == names
        for name, text in files.items():
            (folder / name).write_text(text)
    catalog.prepare("toy_birds", None, folder / "data", num_images=64, size=32)
    encoder = encoder_run(folder / "encoder")
    runs.write_tokenizer(encoder, tokenizers.from_config("char"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "mylab"]:
        del sys.modules[name]


def changes(lab, source=None, **more) -> dict:
    """Overrides for tiny networks, with all terms: both networks of the encoder's run are used."""
    source = str(source or lab / "encoder")
    frozen = {"encoder.source": source, "frozen.image": source, "loss.g.match": 0.5}
    return {**TINY, "data.data_dir": str(lab / "data"), **frozen, **more}


def train(lab, workdir, overrides, count=1) -> pathlib.Path:
    """Trains on so many devices of this process; returns the run directory."""
    config = fields.resolve(f"{lab / CONFIG}", overrides).config
    with pytest.MonkeyPatch.context() as patch:
        use_devices(patch, count)
        loop.train(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def trained(lab):
    """Two steps by the command line, in the folder."""
    workdir = lab / "run"
    arguments = [f"--{name}={value}" for name, value in changes(lab).items()]
    Command(workdir, lab / "data", *arguments, spec=CONFIG, cwd=lab).succeed()
    return workdir


@pytest.mark.parametrize("kind", ["jit", "pmap"])
def test_the_shown_gan_trains_alike_on_four_devices(lab, trained, tmp_path, kind):
    one = metrics(trained)
    four = metrics(train(lab, tmp_path, changes(lab, parallel=kind), count=4))
    terms = {"d/real", "d/wrong", "d/fake", "g/fake", "g/match"}
    assert list(one) == list(four) == [1, 2] and terms <= one[1].keys() == four[1].keys()
    assert all(one[1][name] != one[2][name] for name in terms)
    for step, row in one.items():
        for name, value in row.items():
            assert four[step][name] == pytest.approx(value, rel=2e-4, abs=2e-6), (step, name)


def test_it_is_sampled_with_its_mask(trained):
    """As its generator draws from the averaged weights and the run's encoder."""
    captions = ["a small red bird", "a blue bird"]
    sampler = Sampler.from_workdir(trained)
    images, extras = sampler.sample(captions, seed=3, extras=["mask"])
    assert images.shape == (2, 16, 16, 3) and images.dtype == np.uint8
    config, ema = runs.load_ema(trained)
    system = build.restore(config, trained)
    sentence = system.encoder.apply(
        system.variables["encoder"], *system.tokenizer.encode(captions)
    ).sentence
    keys = [jax.random.fold_in(jax.random.key(3), i) for i in range(2)]
    z = np.stack([jax.random.normal(jax.random.fold_in(key, 0), (4,)) for key in keys])
    g_vars = {"params": ema["params"]["g"], **ema["stats"]["g"]}
    expected, mask = system.recipe.generator.apply(g_vars, z, sentence, train=False)
    np.testing.assert_allclose(extras["mask"], mask, atol=1e-5)
    assert np.abs(images - np.rint((np.asarray(expected) + 1) * 127.5)).max() <= 1
    with pytest.raises(ValueError, match="extras: no 'masks'; did you mean 'mask'?"):
        sampler.sample(captions, extras=["masks"])


def test_its_frozen_network_is_asked_for_by_name(lab):
    overrides = changes(lab)
    del overrides["frozen.image"]
    with pytest.raises(ValueError, match="g.match needs frozen.image=RUN"):
        build.build(fields.resolve(f"{lab / CONFIG}", overrides).config)
    text = changes(lab, **{"frozen.image": f"{lab / 'encoder'}:text"})
    system = build.build(fields.resolve(f"{lab / CONFIG}", text).config)
    assert type(system.recipe.image).__name__ == "TextEncoder"
    config = fields.resolve(f"{lab / CONFIG}", changes(lab, **{"frozen.image": "random"})).config
    config.image = {"module": f"{SmallImageNet.__module__}:SmallImageNet", "widths": (2,)}
    system = build.build(config)
    ids, mask = system.tokenizer.encode(["a bird"])
    images = np.zeros((1, 16, 16, 3), np.uint8)
    system.complete({IMAGES: images, TOKENS: ids[:, None], MASK: mask[:, None]})
    kernel = system.variables["image"]["params"]["conv1"]["kernel"]
    assert system.recipe.image.widths == (2,) and kernel.shape == (4, 4, 3, 2)


def test_an_encoder_and_a_builder_of_ones_own(lab, tmp_path):
    """The encoder is trained with the generator, on the words of the builder's captions."""
    source = tmp_path / "source"
    (source / "photos").mkdir(parents=True)
    birds = [toy_birds.generate(i, 0, 24) for i in range(16)]
    for i, bird in enumerate(birds):
        Image.fromarray(bird.image).save(source / "photos" / f"{i}.png")
    lines = [f"{i}.png\t{bird.captions[0]}" for i, bird in enumerate(birds)]
    (source / "birds.tsv").write_text("\n".join(lines))
    catalog.prepare("mylab.my_birds", str(source), tmp_path / "data")
    own = {"data.name": "mylab.my_birds", "data.data_dir": str(tmp_path / "data")}
    workdir = train(lab, tmp_path / "run", {**TINY, **own, **WORDS})

    words = {word for bird in birds for word in caption_words(bird.captions[0])}
    kept = runs.read_tokenizer(workdir).to_json()
    assert kept["name"] == "word" and set(kept["words"]) == {"<end>", *words}
    _, ema = runs.load_ema(workdir)
    (table,) = jax.tree.leaves(ema["params"]["encoder"])
    assert table.shape == (len(words) + 1, 32)
    sampler = Sampler.from_workdir(workdir)
    with pytest.warns(CaptionWarning, match="unknown words 'qux'"):
        same, unknown = sampler.sample("a bird"), sampler.sample("a qux bird")
    np.testing.assert_array_equal(same, unknown)
    assert (sampler.sample("a bird") != sampler.sample("this")).any()


def test_a_run_goes_on_with_what_it_has_kept(lab, tmp_path):
    """Sources that were moved: nothing is said. One that has changed: it is named. Either way the
    losses are those of a training that nothing happened to.
    """
    three = {"train.duration": "3 steps"}
    undisturbed = metrics(train(lab, tmp_path / "undisturbed", changes(lab, **three)))
    source, workdir = tmp_path / "source", tmp_path / "run"
    shutil.copytree(lab / "encoder", source)
    first = changes(lab, source, **{"train.duration": "1 steps"})
    train(lab, workdir, first)
    kept = networks.path_of(workdir, "encoder").read_bytes()

    shutil.move(source, tmp_path / "elsewhere")
    train(lab, workdir, {**first, "train.duration": "2 steps"})
    assert "resumed from step 1" in said(workdir) and "has changed" not in said(workdir)
    assert Sampler.from_workdir(workdir).sample("a red bird").shape == (1, 16, 16, 3)

    encoder_run(source, "text.width=10")  # the image network's weights are the same
    runs.write_tokenizer(source, tokenizers.from_config("char"))
    train(lab, workdir, {**first, **three})
    assert f"encoder.source='{source}' has changed since this run began" in said(workdir)
    assert "resumed from step 2" in said(workdir) and "frozen.image=" not in said(workdir)
    assert networks.path_of(workdir, "encoder").read_bytes() == kept
    assert metrics(workdir) == undisturbed


def said(workdir) -> str:
    return (workdir / "log.txt").read_text()
