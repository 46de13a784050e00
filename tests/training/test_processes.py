"""Trainings over two real processes with two devices each, by the command line, against one device.

Losses agree to a few float32 roundings until a unit of a leaky ReLU falls on the other side of its
kink, which moves a gradient by up to about 1e-3 and later losses by more: hence few steps, and a
tolerance that statistics of half the batch, other rows or summed gradients would miss by far.
"""

import json
import shutil
import signal

import numpy as np
import pytest
from train_commands import SPEC, metrics, processes

from t2i_jax import config as configs
from t2i_jax.training import loop, runs

# Wide enough that fsdp has an array to split.
ARGUMENTS = ("--generator.channels=16", "--train.sample_every=0 steps", "--train.keep=9")


def train_here(workdir, data_dir, steps: int, *arguments) -> None:
    """Trains, or goes on, in this process."""
    config = configs.load(SPEC)
    where = [f"--data.data_dir={data_dir}", f"--train.duration={steps} steps"]
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
def one_run(data_dir, tmp_path_factory, one_device):
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


def test_pmap_between_trainings_on_one_device(one_run, one, data_dir, tmp_path):
    """One device saves step 1, two processes under pmap go on to step 3, one device to step 4."""
    workdir = tmp_path / "run"
    shutil.copytree(one_run, workdir)
    for step in (2, 3, 4):
        shutil.rmtree(runs.checkpoints_dir(workdir) / str(step))
    arguments = (*ARGUMENTS, "--parallel=pmap", "--train.duration=3 steps")
    first, second = processes(2, workdir, data_dir, *arguments)
    printed = first.succeed()
    assert "resumed from step 1" in printed and "4 cpu device(s), pmap" in printed
    assert "step 3/3" not in second.succeed()  # one process speaks for all
    assert list(metrics(workdir)) == [1, 2, 3]
    train_here(workdir, data_dir, 4)
    compare(workdir, one, range(1, 5))
    assert metrics(workdir)[1] == one[1]


def test_parameters_split_over_devices(one, data_dir, tmp_path):
    """fsdp=2 over two processes; one device reads the pieces together."""
    arguments = (*ARGUMENTS, "--fsdp=2", "--train.duration=2 steps", "--train.sample_every=2 steps")
    for command in processes(2, tmp_path, data_dir, *arguments):
        command.succeed()
    compare(tmp_path, one, range(1, 3))
    assert (tmp_path / "samples" / "step_00000002.png").is_file()
    digests = runs.checkpoints_dir(tmp_path) / "2" / "digests" / "process_0.json"
    leaves = json.loads(digests.read_text())["leaves"]["train"].values()
    assert any(len(leaf["parts"]) == 2 and split(leaf) for leaf in leaves), "nothing was split"
    train_here(tmp_path, data_dir, 3)
    compare(tmp_path, one, range(1, 4))


def split(leaf: dict) -> bool:
    """Whether no part of a leaf is the whole of it."""
    sizes = [np.prod([b - a for a, b in part["region"]]) for part in leaf["parts"]]
    return max(sizes) < np.prod(leaf["shape"])
