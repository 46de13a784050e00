"""launch/step_ratios.py against a stand-in under PyTorch."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("torch")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_a_step_against_pytorch(tmp_path):
    out = tmp_path / "found.json"
    command = [sys.executable, str(ROOT / "launch" / "step_ratios.py"), "--against=torch"]
    command += ["--config=stack_gan_v1:debug", "--rounds=2", "--warm_up=1", f"--out={out}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "T2I_JAX_TRACEBACK": ""}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())["stack_gan_v1:debug"]
    ours, theirs = found["sides"].values()
    assert ours["parameters"] == theirs["parameters"]
    assert len(theirs["cpu"]) == 2 and min(theirs["cpu"]) > 0
