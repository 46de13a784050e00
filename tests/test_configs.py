"""Every ``configs/*.py:debug`` trains, on one device and on four, under jit and under pmap.

A later system is covered by adding its config.
"""

import functools
import pathlib

import jax
import numpy as np
import pytest

from t2i_jax import config as configs
from t2i_jax.data import catalog
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.training import build, loop, runs
from t2i_jax.training import parallel as parallel_module

ROOT = pathlib.Path(__file__).resolve().parent.parent
WITH_DEBUG = sorted(p for p in (ROOT / "configs").glob("*.py") if '"debug"' in p.read_text())
LAYOUTS = {"one": ("jit", 1), "jit4": ("jit", 4), "pmap4": ("pmap", 4)}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A few toy birds, prepared."""
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=64, size=48)
    return folder


def load(path: pathlib.Path, data_dir) -> configs.ConfigDict:
    config = configs.load(f"{path}:debug")
    return configs.override(config, {"data.data_dir": str(data_dir)})


class Traced:
    """Counts how often a step is traced."""

    def __init__(self, monkeypatch):
        self.count = 0
        make_step = loop.make_step

        def counting(*args, **kwargs):
            step = make_step(*args, **kwargs)

            @functools.wraps(step)
            def traced(*inner):
                self.count += 1
                return step(*inner)

            return traced

        monkeypatch.setattr(loop, "make_step", counting)


@pytest.mark.parametrize("path", WITH_DEBUG, ids=lambda p: p.stem)
def test_same_losses_on_every_layout(path, data_dir, tmp_path, monkeypatch):
    traced = Traced(monkeypatch)
    devices = jax.devices()
    assert len(devices) >= 4
    results = {}
    for layout, (kind, count) in LAYOUTS.items():
        traced.count = 0
        use_devices(monkeypatch, devices[:count])
        config = configs.override(load(path, data_dir), {"parallel": kind})
        results[layout] = loop.train(config, tmp_path / layout)
        assert traced.count == 1, f"{layout}: traced {traced.count} times"
    assert results["one"], "no metrics"
    for layout in ("jit4", "pmap4"):
        assert results[layout].keys() == results["one"].keys()
        for name, value in results["one"].items():
            np.testing.assert_allclose(
                results[layout][name], value, rtol=2e-4, atol=2e-6, err_msg=f"{layout} {name}"
            )
    check_checkpoint(tmp_path / "one")
    check_samples(tmp_path / "one")


def use_devices(monkeypatch, devices) -> None:
    """Makes the parallel modules see these devices only."""
    monkeypatch.setattr(parallel_module.jax, "devices", lambda *a: devices)
    monkeypatch.setattr(parallel_module.jax, "local_devices", lambda *a: devices)
    monkeypatch.setattr(parallel_module.jax, "device_count", lambda *a: len(devices))


def check_checkpoint(workdir: pathlib.Path) -> None:
    """The averaged networks come back from the run, whole and finite."""
    config, ema = runs.load_ema(workdir)
    assert config.to_dict() == runs.read_config(workdir).to_dict()
    leaves = jax.tree.leaves(ema)
    assert leaves and all(np.isfinite(np.asarray(x)).all() for x in leaves)


def check_samples(workdir: pathlib.Path) -> None:
    """A generator's run draws images of the right shape and range."""
    from t2i_jax import Sampler

    config = runs.read_config(workdir)
    if not issubclass(build.recipe_module(config.system).Recipe, GanRecipe):
        return
    images = Sampler.from_workdir(workdir).sample(["a small red bird"], seed=0)
    size = config.data.size
    assert images.shape == (1, size, size, 3) and images.dtype == np.uint8
    assert images.std() > 0
