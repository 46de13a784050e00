"""Every argument of ``configs/*.py`` describes networks, and every ``:debug`` trains: on one device
and on four, under jit and under pmap.

A later system is covered by adding its config.
"""

import functools
import pathlib
import re

import jax
import numpy as np
import pytest
from devices import use_devices
from known_configs import CONFIGS, arguments

from t2i_jax import config as configs
from t2i_jax.data import catalog
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.training import ahead, build, fields, loop, modules, runs

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAYOUTS = {"jit4": ("jit", 4), "pmap4": ("pmap", 4)}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_argument_describes_networks_and_data(path):
    """And defaults that are written out are those that hold where they are not."""
    known = arguments(path)
    assert "debug" in known and len(known) > (3 if "cub" in known else 2)
    for arg in known:
        plain, whole = configs.load(f"{path}:{arg}"), fields.resolve(f"{path}:{arg}").config
        assert build.data_options(plain) == build.data_options(whole)
        assert recipe(plain) == recipe(whole)
        encoders = [c.encoder.name and text_encoder(c) for c in (plain, whole)]
        assert encoders[0] == encoders[1]


def recipe(config):
    """The recipe; networks of other runs that no section describes are left out."""
    others = {name: None for name in config.frozen if name not in config}
    return modules.make_recipe(config, others)


def text_encoder(config):
    cls = modules.encoder_class(config.encoder.name)
    return modules.construct(cls, config.encoder.fields, "encoder.fields", config.dtype)


@pytest.mark.parametrize(
    ("spec", "words"),
    [("damsm:coco", 15), ("attn_gan:coco", 12), ("rat_gan:coco", 18), ("df_gan:coco", 18)],
)
def test_as_many_words_of_a_caption_are_read_as_in_the_releases(spec, words):
    name, _, arg = spec.partition(":")
    assert configs.load(f"{ROOT / 'configs' / name}.py:{arg}").tokenizer.length == words


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_a_copy_of_the_file_works_elsewhere(path, tmp_path):
    """One that takes over another system's config, beside a copy of that."""
    taken = re.findall(r'with_name\("(.+)"\)', path.read_text())
    for name in {path.name, *taken}:
        (tmp_path / name).write_text(path.with_name(name).read_text())
    known = arguments(path)
    arg = "cub" if "cub" in known else known[0]
    copied = configs.load(f"{tmp_path / path.name}:{arg}")
    assert copied.to_dict() == configs.load(f"{path}:{arg}").to_dict()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A few toy birds, prepared."""
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=64, size=48)
    return folder


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
    """Trains a config on so many devices: (run directory, metrics of the last step). Each once."""

    @functools.cache
    def train(path: pathlib.Path, kind: str = "jit", count: int = 1):
        workdir = tmp_path_factory.mktemp(f"{path.stem}_{kind}{count}")
        changes = {"data.data_dir": str(data_dir), "parallel": kind}
        config = fields.resolve(f"{path}:debug", changes).config
        with pytest.MonkeyPatch.context() as patch:
            use_devices(patch, count)
            # The programs of draws are alike in many systems, and stay for the next training.
            patch.setattr(loop, "forget", lambda: None)
            traces = count_traces(patch)
            metrics = loop.train(config, workdir)
        assert len(traces) == 1, f"traced {len(traces)} times"
        assert metrics, "no metrics"
        return workdir, metrics

    return train


def count_traces(patch) -> list[None]:
    """A list that grows with each trace of a step."""
    traces: list[None] = []
    make_step = ahead.make_step

    def counting(*args, **kwargs):
        step = make_step(*args, **kwargs)

        @functools.wraps(step)
        def traced(*inner):
            traces.append(None)
            return step(*inner)

        return traced

    patch.setattr(ahead, "make_step", counting)
    return traces


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_a_run_can_be_read_and_sampled(path, trained):
    """The averaged networks come back whole and finite; a generator's run draws images of the right
    shape and range.
    """
    workdir, _ = trained(path)
    config, ema = runs.load_ema(workdir)
    assert config.to_dict() == runs.read_config(workdir).to_dict()
    leaves = jax.tree.leaves(ema)
    assert leaves and all(np.isfinite(np.asarray(x)).all() for x in leaves)
    if not issubclass(modules.recipe_module(config.system).Recipe, GanRecipe):
        return
    from t2i_jax import Sampler

    images = Sampler.from_workdir(workdir).sample(["a small red bird"], seed=0)
    size = config.data.size
    assert images.shape == (1, size, size, 3) and images.dtype == np.uint8
    assert images.std() > 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_same_losses_on_four_devices_as_on_one(path, layout, trained):
    assert len(jax.devices()) >= 4
    _, one = trained(path)
    _, four = trained(path, *LAYOUTS[layout])
    assert four.keys() == one.keys()
    for name, value in one.items():
        np.testing.assert_allclose(four[name], value, rtol=2e-4, atol=2e-6, err_msg=name)
