"""What a training writes and says, and how it answers to mistakes."""

import contextlib
import io
import json
import math
import re

import jax
import numpy as np
import pytest
from PIL import Image
from train_commands import SPEC, Command, metrics

from t2i_jax import config as configs
from t2i_jax.commands import train
from t2i_jax.training import loop, runs, sealed
from t2i_jax.training.checkpoints import Checkpoints

pytestmark = pytest.mark.usefixtures("one_device")

TERMS = {"d/real", "d/wrong", "d/fake", "g/fake", "g/interp"}


def load(data_dir, *assignments):
    return configs.override(configs.load(SPEC), [f"data.data_dir={data_dir}", *assignments])


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
    """Half an epoch of 64 images, 8 at a time: (run directory, what was printed)."""
    workdir = tmp_path_factory.mktemp("runs") / "base"
    durations = [
        "train.duration=0.5 epochs",
        "train.log_every=16 images",
        "train.sample_every=0.25 epochs",
        "train.checkpoint_every=4 steps",
    ]
    with contextlib.redirect_stderr(io.StringIO()) as printed:
        loop.train(load(data_dir, *durations, "log.tensorboard=True"), workdir)
    return workdir, printed.getvalue()


@pytest.mark.parametrize("duration", ["1 images", "3 images", "0.01 epochs"])
def test_a_training_of_no_step_is_refused(data_dir, tmp_path, duration):
    with pytest.raises(ValueError, match=f"train.duration='{duration}' is less than one step of 8"):
        loop.train(load(data_dir, f"train.duration={duration}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_metrics_are_lines_of_json(trained):
    workdir, _ = trained
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    rows = [sealed.unseal(json.loads(line)) for line in lines]
    assert [row["step"] for row in rows] == [2, 4]
    more = {f"{player}/{name}" for player in "gd" for name in ("total", "grad_norm")}
    more |= {f"d/accuracy_{kind}" for kind in ("real", "wrong", "fake")}
    for row in rows:
        assert row.keys() == {"step", "steps_per_second", "images_per_second", *TERMS, *more}
        assert all(math.isfinite(value) for value in row.values())
        assert row["images_per_second"] == pytest.approx(8 * row["steps_per_second"])
        assert row["g/total"] == pytest.approx(row["g/fake"] + row["g/interp"])
        wanted = row["d/real"] + 0.5 * row["d/wrong"] + 0.5 * row["d/fake"]
        assert row["d/total"] == pytest.approx(wanted)


def test_progress_lines(trained):
    workdir, printed = trained
    assert "\r" not in printed and "\x1b" not in printed  # this is no terminal
    lines = [line for line in printed.splitlines() if line.startswith("step ")]
    pattern = (
        r"step {}/4 \({} %\)  [\d.]+ steps/s  [\d,]+ images/s  ETA \d+:\d\d:\d\d  "
        r"d/accuracy_fake [\d.]+  .*d/fake [\d.]+  d/real [\d.]+  .*g/total [\d.]+"
    )
    assert len(lines) == 2
    assert re.fullmatch(pattern.format(2, r"50\.0"), lines[0])
    assert re.fullmatch(pattern.format(4, r"100\.0"), lines[1]) and "ETA 0:00:00" in lines[1]
    assert re.search(r"64 records, batch 8, 4 steps; d [\d,]+, g [\d,]+ parameters", printed)
    assert re.search(r"compiled the step of gan_int_cls in [\d.]+ s", printed)
    # The log holds the same lines, each with the time before it.
    logged = (workdir / "log.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in logged] == printed.splitlines()


def test_pictures(trained):
    workdir, _ = trained
    names = sorted(path.name for path in (workdir / "samples").iterdir())
    assert names == ["step_00000002.png", "step_00000004.png"]
    first, second = (np.asarray(Image.open(workdir / "samples" / name)) for name in names)
    assert first.shape == second.shape and first.shape[0] > 32 and first.shape[1] > 4 * 32
    assert (first != second).any(), "the generator has learned nothing between them"
    assert np.asarray(Image.open(workdir / "curves.png")).std() > 0


def test_the_run_knows_what_it_cost(trained):
    workdir, printed = trained
    found = json.loads((workdir / "provenance.json").read_text())
    (start,) = found["starts"]
    assert (start["from_step"], start["to_step"], found["total"]["images"]) == (0, 4, 32)
    assert re.search(r"done; in all \d+\.\d\d device-hours, 32 images", printed)


def test_tensorboard_files(trained):
    from tensorboardX.proto.event_pb2 import Event

    (path,) = (trained[0] / "tensorboard").glob("events.out.tfevents.*")
    data, seen, start = path.read_bytes(), {}, 0
    while start < len(data):  # length, its checksum, an event, its checksum
        length = int.from_bytes(data[start : start + 8], "little")
        event = Event.FromString(data[start + 12 : start + 12 + length])
        for value in event.summary.value:
            seen.setdefault(value.tag, {})[event.step] = value.simple_value
        start += 16 + length
    for step, row in metrics(trained[0]).items():
        for name, value in row.items():
            assert seen[name][step] == pytest.approx(value)
    assert list(seen["samples"]) == [2, 4]


def test_a_finished_run_has_nothing_to_do(trained, data_dir, capsys):
    workdir, _ = trained
    before = (workdir / "metrics.jsonl").read_text()
    argv = [f"--config={SPEC}", f"--workdir={workdir}", f"--data.data_dir={data_dir}"]
    train.main([*argv, "--train.duration=4"])
    assert "nothing to do: 4 of 4 steps are done" in capsys.readouterr().err
    assert (workdir / "metrics.jsonl").read_text() == before


def test_another_config_is_refused(trained, data_dir, capsys):
    workdir, _ = trained
    argv = [f"--config={SPEC}", f"--workdir={workdir}", f"--data.data_dir={data_dir}"]
    with pytest.raises(SystemExit) as error:
        train.main([*argv, "--generator.channels=8", "--loss.g.interp=0"])
    assert error.value.code == 2
    printed = capsys.readouterr().err
    assert "generator.channels: saved 4, now 8" in printed
    assert "loss.g.interp: saved 1.0, now 0.0" in printed
    assert "optim" not in printed and "train." not in printed


@pytest.mark.parametrize(
    "wrong, said",
    [
        (
            ["--optim.g.lr=-1", "--d_steps=0"],
            "d_steps=0: must be from 1 to 1,000\noptim.g.lr=-1.0: must be from 0 to 1,000",
        ),
        (
            ["--data.batch=1000"],
            "data.batch=1,000: toy_birds/48px_64_seed0/train has only 64 records",
        ),
    ],
)
def test_numbers_that_no_training_can_have_leave_nothing_behind(
    wrong, said, data_dir, tmp_path, capsys
):
    argv = [f"--config={SPEC}", f"--workdir={tmp_path / 'run'}", f"--data.data_dir={data_dir}"]
    with pytest.raises(SystemExit) as error:
        train.main([*argv, *wrong])
    assert error.value.code == 2 and f"error: {said}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_sentence_cache_changes_nothing(trained, data_dir, tmp_path):
    """Encoding the captions in the step gives the losses that their stored vectors gave."""
    cached, _ = trained
    assert list((cached / "cache" / "process0").glob("*.npy"))
    loop.train(load(data_dir, "encoder.cache=False", "train.duration=4"), tmp_path)
    assert not (tmp_path / "cache").exists()
    stepwise = metrics(tmp_path)
    assert list(stepwise) == [1, 2, 3, 4]
    for step, row in metrics(cached).items():
        for name, value in row.items():
            mean = (stepwise[step - 1][name] + stepwise[step][name]) / 2
            assert mean == pytest.approx(value, rel=1e-3), name


def test_a_joint_encoder_is_trained(data_dir, tmp_path):
    loop.train(load(data_dir, "encoder.train=joint", "train.duration=2"), tmp_path)
    emas = []
    for step in (1, 2):
        with Checkpoints(runs.checkpoints_dir(tmp_path), read_only=True) as reader:
            emas.append(reader.restore_ema(step)[0]["params"])
    assert emas[0].keys() == {"g", "encoder"}
    same = jax.tree.map(np.array_equal, *(ema["encoder"] for ema in emas))
    moved = [not one for one in jax.tree.leaves(same)]
    assert sum(moved) > len(moved) / 2, same
    assert not (tmp_path / "frozen").exists() and not (tmp_path / "cache").exists()


def test_bfloat16(data_dir, tmp_path, trained):
    """Losses are finite and near those of float32; parameters stay float32."""
    loop.train(load(data_dir, "dtype=bfloat16", "train.duration=2"), tmp_path)
    rows, (reference, _) = metrics(tmp_path), metrics(trained[0]).values()
    for name in TERMS:
        mean, value = (rows[1][name] + rows[2][name]) / 2, reference[name]
        assert mean == pytest.approx(value, rel=0.3) and mean != value
    _, ema = runs.load_ema(tmp_path)
    assert {x.dtype.name for x in jax.tree.leaves(ema)} == {"float32"}


def refused(capsys, *argv) -> str:
    with pytest.raises(SystemExit) as error:
        train.main(list(argv))
    assert error.value.code == 2
    return capsys.readouterr().err


def test_missing_data(tmp_path, capsys):
    printed = refused(
        capsys, f"--config={SPEC}", f"--workdir={tmp_path}/run", f"--data.data_dir={tmp_path}/no"
    )
    command = f"python -m t2i_jax.prepare --dataset=toy_birds --data_dir={tmp_path}/no"
    assert f"not prepared in {tmp_path}/no" in printed and command in printed
    assert not (tmp_path / "run").exists()


def test_unknown_field(tmp_path, capsys):
    printed = refused(capsys, f"--config={SPEC}", f"--workdir={tmp_path}", "--optim.g.lrr=1")
    assert "unknown config field 'optim.g.lrr'" in printed and "did you mean 'lr'?" in printed


def test_processes_that_no_cluster_describes(tmp_path):
    status, printed = Command(tmp_path, "nowhere", "--multihost").finish()
    assert status == 2, printed
    assert "--coordinator=HOST:PORT --num_processes=N --process_id=I" in printed
