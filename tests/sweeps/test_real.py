"""A sweep of real trainings by its command line, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from quick_compiling import options

from t2i_jax.sweeps.running import steps_now
from t2i_jax.training.step_folder import TRAINING, steps_in

from .conftest import CONFIG, ROOT

GRID = """
def sweep():
    yield {"name": "cls", "train.duration": "2 steps"}
    yield {"name": "gan", "loss.d.wrong": 0.0, "loss.d.fake": 1.0}
"""


@pytest.fixture
def start(tmp_path, data_dir):
    """Starts the command with more options."""
    (tmp_path / "grid.py").write_text(GRID)
    env = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": options(),
        "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"),
    }
    command = [sys.executable, str(ROOT / "launch/sweep.py"), f"--config={CONFIG}"]
    command += [f"--sweep={tmp_path}/grid.py", f"--workdir={tmp_path}/runs", "--data.batch=4"]
    command += [f"--data.data_dir={data_dir}", "--encoder.source=random", "--train.log_every=1"]
    command += ["--train.checkpoint_every=1000 steps", "--train.sample_every=0"]

    def started(*more):
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return subprocess.Popen([*command, *more], env=env, cwd=tmp_path, **pipes)

    return started


def test_a_stopped_training_has_saved(start, tmp_path):
    """Ctrl-C in the middle of the second one; what is left is that one, with the config it has."""
    first, second = tmp_path / "runs/seed0/cls", tmp_path / "runs/seed0/gan"
    process = start("--train.duration=1M steps")
    deadline = time.monotonic() + 250
    while steps_now(second) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 130, out
    assert "The same command goes on" in out and "stopped by SIGTERM" in out
    told = json.loads((tmp_path / "runs/sweep.json").read_text())
    cls, row = told["points"]
    assert (cls["status"], cls["steps"]) == ("done", 2)
    assert row["status"] == "waiting" and row["steps"] >= 2
    assert "encoding captions" in first.with_suffix(".log").read_text()
    assert "encoding captions" not in second.with_suffix(".log").read_text()
    assert len(list((tmp_path / "runs/cache").glob("*.npy"))) == 1
    assert steps_in(second / "checkpoints", TRAINING) == [row["steps"]]
    out, _ = start("--print", "--train.duration=1M steps").communicate(timeout=100)
    finished, left = out.splitlines()[-2:]
    assert finished == "# seed0/cls is finished" and f"--workdir={second}" in left
