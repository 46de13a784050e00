"""Protocols of numbers from the command line: what they measure, keep, and refuse."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from quick_compiling import options as options_of_xla
from tiny_runs import ROOT, gan_run
from train_commands import free_place

from t2i_jax import Sampler
from t2i_jax.commands import evaluate
from t2i_jax.data import catalog
from t2i_jax.evaluation import networks, results
from t2i_jax.evaluation.extractors.pixels import vectors
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.evaluation.image_sets import Photos
from t2i_jax.evaluation.protocols import families
from t2i_jax.evaluation.trained_run import placed
from t2i_jax.training import build, runs


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=200, size=32)
    return str(folder)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return gan_run(tmp_path_factory.mktemp("runs") / "gan")


@pytest.fixture
def options(workdir, data_dir):
    """Of the run's data: how it saw its images."""
    return build.data_options(placed(runs.read_config(workdir), data_dir))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv(networks.CACHE, str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def run(workdir, data_dir, tmp_path):
    """Runs the command; returns what it wrote."""

    def call(*argv, protocol="frechet24", out=tmp_path / "out"):
        usual = [f"--protocol={protocol}", f"--workdir={workdir}", f"--out={out}"]
        evaluate.main([*usual, f"--data_dir={data_dir}", *argv])
        return json.loads((out / f"{protocol}.json").read_text())

    return call


PIXELS = "--features=pixels16"


def frechet(a, b) -> float:
    """Of fewer images than features: the trace of the root is the nuclear norm of a product."""
    apart = np.sum((a.mean(0) - b.mean(0)) ** 2)
    x, y = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (a, b))
    return apart + np.sum(x**2) + np.sum(y**2) - 2 * np.linalg.norm(x @ y.T, "nuc")


def colours(images) -> np.ndarray:
    return vectors(images).astype(np.float64)


def test_the_number_is_that_of_the_samples_and_the_held_out_images(run, workdir, options):
    found = run(PIXELS, "--seed=3")
    held_out = HeldOut(options, seed=3)
    drawn = Sampler.from_workdir(workdir).sample(held_out.captions(24), seed=3)
    real = held_out.images(10_000)
    expected = frechet(colours(drawn), colours(real))
    assert found["values"]["frechet_distance"] == pytest.approx(expected, rel=1e-3)
    trained = Photos(options, catalog.open_split("toy_birds", options.data_dir, "train"), 24)
    expected = frechet(colours(trained.images(0, 24)), colours(real))
    assert found["values"]["frechet_distance_of_real"] == pytest.approx(expected, rel=1e-6)
    conditions = found["conditions"]
    assert (
        conditions["samples"] == 24 and conditions["seed"] == 3 and conditions["run"]["step"] == 2
    )
    assert conditions["captions"]["data"] == "toy_birds/test"
    assert conditions["reference"]["data"] == "toy_birds/test"
    assert conditions["yardstick"]["data"] == "toy_birds/train"
    assert conditions["extractor"] == "pixels16" and found["packages"]["jax"]


def test_numbers_are_kept_and_features_are_not_made_twice(run, workdir, monkeypatch):
    before, _ = results.read(workdir / results.FOLDER)
    first = run(PIXELS, "--batch_size=5", "--extractor_batch_size=7")

    def drawn_again(*args, **options):
        raise AssertionError("drawn again")

    monkeypatch.setattr(Sampler, "sample", drawn_again)
    again = run(PIXELS)
    assert again["values"] == first["values"]
    kernel = run(PIXELS, protocol="kernel24")
    assert kernel["conditions"]["subset_size"] == 24, "the samples are fewer than a subset"
    covering = run(PIXELS, protocol="covering24")
    assert covering["values"]["precision"] >= 0 and covering["real_copies"] == 0
    records, damaged = results.read(workdir / results.FOLDER)
    assert not damaged
    assert [r.protocol for r in records[len(before) :]] == [
        *("frechet24", "frechet24", "kernel24", "covering24")
    ]
    assert records[-1].values == covering["values"] and records[-1].step == 2
    assert records[-3].lower_is_better == ["frechet_distance"]


def test_images_of_other_programs_have_the_same_numbers(run, tmp_path, capsys):
    own = run(PIXELS)
    for place in (tmp_path / "samples", tmp_path / "samples.npz"):
        with pytest.raises(FileNotFoundError):
            run(PIXELS, f"--save_samples={place}", out=tmp_path / "nothing")
        found = run(PIXELS, f"--images={place}", out=tmp_path / "of_images")
        name = "frechet_distance"
        assert found["values"][name] == pytest.approx(own["values"][name], rel=1e-5)
        assert found["conditions"]["run"]["images"] == str(place)
    records, _ = results.read(tmp_path / "of_images")
    assert len(records) == 2 and records[0].step is None
    with pytest.raises(SystemExit):
        run(PIXELS, "--seed=9", f"--save_samples={tmp_path / 'samples'}")
    assert "holds samples of another run, checkpoint, seed" in capsys.readouterr().err


def test_a_set_has_no_distance_to_itself(run, options, tmp_path):
    test = catalog.open_split("toy_birds", options.data_dir, "test")
    images = Photos(options, test)
    (tmp_path / "real").mkdir()
    for i, image in enumerate(images.images(0, len(images))):
        Image.fromarray(image).save(tmp_path / "real" / f"{i:03d}.png")
    found = run(PIXELS, f"--images={tmp_path / 'real'}", protocol=f"frechet{len(images)}")
    assert 0 <= found["values"]["frechet_distance"] < 1e-6


def test_every_checkpoint_is_watched_once(run, workdir, capsys):
    (workdir / results.FOLDER / results.FILE).unlink(missing_ok=True)
    run(PIXELS, "--watch")
    records, _ = results.read(workdir / results.FOLDER)
    assert [r.step for r in records] == [1, 2]
    run(PIXELS, "--watch")
    assert len(results.read(workdir / results.FOLDER)[0]) == 2
    assert f"nothing trains in {workdir}; 2 checkpoints are evaluated" in capsys.readouterr().out
    run(PIXELS, "--watch", "--seed=4")
    steps = [(r.step, r.conditions["seed"]) for r in results.read(workdir / results.FOLDER)[0]]
    assert steps == [(1, 0), (2, 0), (1, 4), (2, 4)]


@pytest.mark.parametrize(
    "protocol, argv, message",
    [
        ("fid2k", [], "pt_inception-2015-12-05-6726825d.pth"),
        ("frechet24", [], "give one with --features"),
        ("frechet24", [PIXELS, "--num=5"], "--num is not for --protocol=frechet24; leave it out"),
        ("fid2k", [PIXELS], "--features is not for --protocol=fid2k"),
        ("frechte24", [PIXELS], "--protocol='frechte24'; did you mean 'frechet'"),
        ("similarity24", [], "name encoders with --encoder=RUN"),
        ("frechet24", [PIXELS, "--watch", "--step=1"], "--watch takes every checkpoint"),
        ("frechet24", [PIXELS, "--images=/nowhere"], "neither a folder of images nor an .npz"),
        ("no.module:Mine", [], "No module named"),
        ("is5", [], "protocol 'is5': at least 10 samples are needed"),
        ("tsne", ["--watch"], "--watch is not for --protocol=tsne"),
        ("frechet24", [PIXELS, "--images=X", "--step=1"], "leave out --captions_file and --step"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    run, monkeypatch, tmp_path, capsys, protocol, argv, message
):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        run(*argv, protocol=protocol)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_every_family_is_described_and_names_its_network():
    for name, family in families.FAMILIES.items():
        protocol = families.load(f"{name}500")
        assert protocol.name == f"{name}500" and protocol.needs().samples == 500
        assert name in families.listing() and family.description
    assert families.load("fid").name == "fid30k" == families.load("fid30k").name
    assert not families.is_name("fid0") and not families.is_name("fidk")


class Mine:
    """A protocol of one's own: how bright samples are."""

    name, description, lower_is_better = "brightness", "mean of all pixels", ()

    def needs(self):
        return families.Needs(samples=6, extractor="pixels16")

    def measure(self, given):
        return families.Measured(values={"mean": float(given.samples.layer("embedding")[:].mean())})


def test_a_protocol_of_ones_own(workdir, options, tmp_path):
    evaluate.main(
        [
            *("--protocol=evaluation.test_numbers:Mine", f"--workdir={workdir}"),
            *(f"--data_dir={options.data_dir}", f"--out={tmp_path}"),
        ]
    )
    found = json.loads((tmp_path / "brightness.json").read_text())
    held_out = HeldOut(options)
    images = Sampler.from_workdir(workdir).sample(held_out.captions(6))
    assert found["values"]["mean"] == pytest.approx(images.mean() / 255, abs=1e-4)
    assert found["values"]["mean_of_real"] == pytest.approx(held_out.images(6).mean() / 255)


def test_damaged_lines_of_results_are_named(tmp_path):
    record = results.Record(protocol="p", step=1, values={"x": 1.0}, conditions={})
    results.append(tmp_path, record)
    path = tmp_path / results.FILE
    path.write_text(path.read_text() + '{"protocol": "q"')
    results.append(tmp_path, record)
    records, damaged = results.read(tmp_path)
    assert [r.protocol for r in records] == ["p", "p"] and damaged == [2]
    with pytest.raises(ValueError, match="JSON"):
        results.append(tmp_path, results.Record(**{**vars(record), "values": {"x": np.nan}}))


def test_several_processes_share_the_images(workdir, data_dir, tmp_path):
    """Two with two devices each, and then one: the same number, told once."""
    usual = [f"--workdir={workdir}", f"--data_dir={data_dir}", "--protocol=frechet25", PIXELS]
    usual += ["--seed=7", f"--out={tmp_path}"]
    started, where = [], free_place()
    for i in range(2):
        hosts = [f"--coordinator={where}", "--num_processes=2", f"--process_id={i}"]
        command = [sys.executable, "-m", "t2i_jax.evaluate", *usual, "--multihost", *hosts]
        env = {
            **os.environ,
            "XLA_FLAGS": f"--xla_force_host_platform_device_count=2 {options_of_xla()}",
            networks.CACHE: str(tmp_path / "shared"),
        }
        started.append(subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE))
    printed = [process.communicate(timeout=280)[0].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert "frechet_distance" in printed[0] and "frechet" not in printed[1]
    together = json.loads((tmp_path / "frechet25.json").read_text())["values"]
    parts = sorted(p.name for p in (workdir / "evaluation/features").glob("*/embedding.*.f32"))
    assert {"embedding.0-12.f32", "embedding.12-25.f32"} <= set(parts)
    evaluate.main(usual)
    alone = json.loads((tmp_path / "frechet25.json").read_text())["values"]
    assert alone == pytest.approx(together, rel=1e-3)
    records, _ = results.read(workdir / results.FOLDER)
    assert sum(r.protocol == "frechet25" for r in records) == 2
