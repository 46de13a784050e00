"""Protocols of numbers while a training runs: what they measure, and which checkpoint they keep."""

import json

import pytest
from tiny_runs import ROOT

from t2i_jax.commands import evaluate
from t2i_jax.data import catalog
from t2i_jax.evaluation import in_training, networks
from t2i_jax.training import build, fields, loop, runs
from t2i_jax.training.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=200, size=32)
    return str(folder)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(networks.CACHE, str(tmp_path / "cache"))


def resolved(data_dir, **changes):
    changes = {
        "data.data_dir": data_dir,
        "train.sample_every": "0 steps",
        "evals.names": ("frechet16",),
        "evals.features": "pixels16",
        **changes,
    }
    return fields.resolve(f"{ROOT}/configs/gan_int_cls.py:debug", changes).config


def test_the_numbers_of_a_training_are_those_of_its_checkpoints(data_dir, tmp_path):
    """And the least distance keeps its checkpoint beside the latest."""
    best = {"evals.best": "frechet16/frechet_distance", "evals.best_mode": "min"}
    config = resolved(data_dir, **best, **{"train.duration": "3 steps", "train.keep": 1})
    workdir = tmp_path / "run"
    loop.train(config, workdir, in_training.evaluators)
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    name = "frechet16/frechet_distance"
    found = {row["step"]: row[name] for row in rows if name in row}
    assert set(found) == {1, 2, 3} and f"{name}_of_real" not in rows[-1]
    chosen = min(found, key=found.get)
    assert runs.best_step(workdir) == chosen
    with Checkpoints(runs.checkpoints_dir(workdir), read_only=True) as checkpoints:
        assert set(checkpoints.steps()) == {chosen, 3}
    evaluate.main(
        ["--protocol=frechet16", "--features=pixels16", f"--workdir={workdir}", "--step=3"]
    )
    told = json.loads((workdir / "evaluation" / "frechet16.json").read_text())
    assert told["values"]["frechet_distance"] == pytest.approx(found[3], rel=1e-3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"evals.names": ("frecht16",)}, "evals.names: no 'frecht16'; did you mean 'frechet'"),
        ({"evals.features": ""}, "give one with --features"),
        ({"evals.names": ("fid16",)}, "pt_inception-2015-12-05"),
        ({"evals.names": ("toy_attributes",)}, "needs evals.classifier"),
    ],
)
def test_what_cannot_be_measured_is_told_before_training(data_dir, monkeypatch, changes, message):
    monkeypatch.setenv("T2I_JAX_WEIGHTS", "/nowhere")
    config = resolved(data_dir, **changes)
    with pytest.raises((ValueError, OSError), match=message):
        in_training.evaluators(build.build(config), build.data_options(config))


@pytest.mark.parametrize(
    "best, mode, message",
    [
        ("frechet16/frechet_distance", "max", "the least is best; set evals.best_mode=min"),
        ("frechet16/frechet_distance", "least", "must be one of 'max', 'min'"),
        ("kid/kid", "min", "evals.names has no 'kid'"),
    ],
)
def test_the_best_must_be_measured_and_its_direction_right(data_dir, tmp_path, best, mode, message):
    config = resolved(data_dir, **{"evals.best": best, "evals.best_mode": mode})
    with pytest.raises(ValueError, match=message):
        loop.train(config, tmp_path / "run", in_training.evaluators)
    assert not (tmp_path / "run").exists()
