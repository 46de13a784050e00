"""Trainings over two real processes with two devices each, over four devices of one process, and
from each of these to the others, against one device.

Losses agree to a few float32 roundings until a unit of a leaky ReLU falls on the other side of its
kink, which moves a gradient by up to about 1e-3 and later losses by more: hence few steps, and a
tolerance that statistics of half the batch, other rows or summed gradients would miss by far.
"""

import json
import shutil
import signal

import numpy as np
import pytest
from devices import use_devices
from train_commands import SPEC, TWICE, Command, metrics, processes

from t2i_jax import config as configs
from t2i_jax.training import loop, runs

# Wide enough that fsdp has an array to split.
ARGUMENTS = ("--generator.channels=16", "--train.sample_every=0 steps", "--train.keep=9")


def train_here(workdir, data_dir, steps: int, *arguments, devices: int = 1) -> None:
    """Trains, or goes on, in this process."""
    config = configs.load(SPEC)
    where = [f"--data.data_dir={data_dir}", f"--train.duration={steps} steps"]
    with pytest.MonkeyPatch.context() as patch:
        use_devices(patch, devices)
        loop.train(configs.override(config, [*ARGUMENTS, *where, *arguments]), workdir)


def compare(workdir, one, steps: range) -> None:
    rows = metrics(workdir)
    assert list(rows)[: len(steps)] == list(steps)
    for step in steps:
        assert rows[step].keys() == one[step].keys()
        for name, value in one[step].items():
            tolerance = 2e-2 if "norm" in name else 2e-3
            assert rows[step][name] == pytest.approx(value, rel=tolerance), f"{step} {name}"


@pytest.fixture(scope="module")
def one_run(data_dir, tmp_path_factory):
    """Four steps on one device, each of them saved."""
    workdir = tmp_path_factory.mktemp("runs") / "one"
    train_here(workdir, data_dir, 4)
    return workdir


@pytest.fixture(scope="module")
def one(one_run):
    return metrics(one_run)


def test_jit_and_a_signal_to_one_process(one, data_dir, tmp_path):
    """Both processes stop at the same step, saved, though only one was told to."""
    first, second = processes(2, tmp_path, data_dir, *ARGUMENTS, "--train.duration=1000 steps")
    second.wait_for(2)
    second.process.send_signal(signal.SIGTERM)
    status, printed = first.finish()
    assert (status, second.finish()[0]) == (143, 143), printed
    compare(tmp_path, one, range(1, 3))
    saved = max(metrics(tmp_path))
    assert f"saved step {saved:,}" in printed
    assert (runs.checkpoints_dir(tmp_path) / str(saved)).is_dir()


def first_step(one_run, workdir) -> None:
    """Makes a run that has done its first step on one device."""
    shutil.copytree(one_run, workdir)
    for step in (2, 3, 4):
        shutil.rmtree(runs.checkpoints_dir(workdir) / str(step))


def test_pmap_from_one_to_two_processes_to_four_devices(one_run, one, data_dir, tmp_path):
    """A step on each, and one on one device again. The launcher starts the two."""
    workdir = tmp_path / "run"
    first_step(one_run, workdir)
    arguments = (*ARGUMENTS, "--parallel=pmap", "--train.duration=2 steps")
    logs = tmp_path / "logs"
    program = (*TWICE[:-1], f"--logs={logs}", "--")
    printed = Command(workdir, data_dir, *arguments, program=program).succeed()
    assert "resumed from step 1" in printed and "4 cpu device(s), pmap" in printed
    assert "step 2/2" in printed and "died" not in printed
    (log,) = logs.iterdir()  # of the second process; the first speaks for all
    assert log.name == "process_1.log" and "step 2/2" not in log.read_text()
    assert list(metrics(workdir)) == [1, 2]
    train_here(workdir, data_dir, 3, "--parallel=pmap", devices=4)
    train_here(workdir, data_dir, 4)
    compare(workdir, one, range(1, 5))
    assert metrics(workdir)[1] == one[1]


def test_parameters_split_over_four_and_two_devices(one_run, one, data_dir, tmp_path):
    """fsdp=4 in one process, fsdp=2 over two; one device reads the pieces together."""
    workdir = tmp_path / "run"
    first_step(one_run, workdir)
    train_here(workdir, data_dir, 2, "--fsdp=4", devices=4)
    assert is_split(workdir, 2, 4)
    arguments = (*ARGUMENTS, "--fsdp=2", "--train.duration=3 steps", "--train.sample_every=3 steps")
    for command in processes(2, workdir, data_dir, *arguments):
        command.succeed()
    assert (workdir / "samples" / "step_00000003.png").is_file()
    assert is_split(workdir, 3, 2)
    train_here(workdir, data_dir, 4)
    compare(workdir, one, range(1, 5))


def is_split(workdir, step: int, pieces: int) -> bool:
    """Whether a leaf of a checkpoint was saved in so many pieces."""
    digests = runs.checkpoints_dir(workdir) / str(step) / "digests" / "process_0.json"
    leaves = json.loads(digests.read_text())["leaves"]["train"].values()
    return any(len(leaf["parts"]) == pieces and split(leaf) for leaf in leaves)


def split(leaf: dict) -> bool:
    """Whether no part of a leaf is the whole of it."""
    sizes = [np.prod([b - a for a, b in part["region"]]) for part in leaf["parts"]]
    return max(sizes) < np.prod(leaf["shape"])
