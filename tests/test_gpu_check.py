"""launch/gpu_check.sh without a GPU: processes that take turns, tables, and a tiny measurement."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from t2i_jax.training import fields

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Builds for a while and measures for a while; writes down when it was at work.
WORKER = """
import json, os, sys, time
ready, seconds, out = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
seen = {"building": [], "measuring": []}
def work(kind, seconds):
    for _ in range(round(seconds / 0.01)):
        seen[kind].append(time.monotonic())
        time.sleep(0.01)
work("building", seconds)
os.write(ready, b"!")
sys.stdin.readline()
work("measuring", 0.3)
json.dump(seen, open(out, "w"))
"""


@pytest.fixture(autouse=True)
def launch_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "launch"))


@pytest.fixture
def runs(tmp_path):
    from gpu.turns import Run

    (tmp_path / "a_worker.py").write_text(WORKER)
    (tmp_path / "a_failure.py").write_text("raise MemoryError('RESOURCE_EXHAUSTED: no room')")
    env = {"PYTHONPATH": str(tmp_path)}

    def make(module, *arguments, seconds=30.0):
        log = tmp_path / f"{module}_{'_'.join(arguments).replace('/', '')}.log"
        return Run(module, arguments, log, seconds, env)

    return make


def test_while_one_measures_the_others_stand_still(runs, tmp_path):
    from gpu.turns import in_turns

    outs = [tmp_path / f"{i}.json" for i in range(3)]
    waits = ("0.1", "0.4", "0.8")
    wanted = [runs("a_worker", wait, str(out)) for wait, out in zip(waits, outs, strict=True)]
    ended = []
    in_turns(wanted, 3, time.monotonic() + 30, lambda run, error: ended.append(error))
    assert ended == ["", "", ""]
    seen = [json.loads(out.read_text()) for out in outs]
    for i, one in enumerate(seen):
        begin, end = one["measuring"][0], one["measuring"][-1]
        others = [t for j, x in enumerate(seen) if j != i for ts in x.values() for t in ts]
        # A stopped process may end the sleep that it was in, once.
        assert sum(begin + 0.02 < t < end for t in others) == 0


def test_what_fails_or_takes_too_long_is_told_and_the_rest_goes_on(runs, tmp_path):
    from gpu.turns import in_turns

    out = tmp_path / "done.json"
    wanted = [
        runs("a_failure"),
        runs("a_worker", "20", "never", seconds=0.5),
        runs("a_worker", "0.1", str(out)),
    ]
    ended = {}
    in_turns(wanted, 1, time.monotonic() + 30, lambda run, e: ended.update({run.log.name: e}))
    assert [*ended.values()] == ["out of memory", "took too long", ""] and out.exists()
    ended.clear()
    in_turns(wanted, 1, time.monotonic() - 1, lambda run, e: ended.update({run.log.name: e}))
    assert set(ended.values()) == {"no time was left"}


def row(framework, system, dtype, speed, mfu=None, part="steps", batch=4):
    return {
        "framework": framework,
        "system": system,
        "dtype": dtype,
        "batch": batch,
        "part": part,
        "images_per_second": speed,
        "mfu": mfu,
        "device_bytes": 2e9,
        "compile_seconds": 30.0,
    }


def test_the_page_says_which_aims_were_reached():
    from gpu.plan import FULL
    from gpu.tables import page

    found = {
        "environment": {"device": "a GPU", "jax": "0.11"},
        "rows": [
            row("t2i_jax", "stack_gan_v2", "bfloat16", 900.0, mfu=0.15, batch=24),
            row("t2i_jax", "stack_gan_v2", "bfloat16", 1000.0, mfu=0.25, part="batches", batch=8),
            row("torch", "stack_gan_v2", "float32", 200.0),
            row("torch", "stack_gan_v2", "bfloat16 channels_last", 500.0),
            row("t2i_jax", "xmc_gan", "bfloat16", 50.0, mfu=0.3),
            {**row("t2i_jax", "df_gan", "float32", 1.0), "error": "out of memory"},
        ],
    }
    text = page(found, FULL)
    assert "- stack_gan_v2: 4 x the images/s of PyTorch in float32: **reached**, 4.50 x" in text
    assert "PyTorch in bfloat16 channels_last: **missed**, 1.80 x" in text
    assert "- stack_gan_v2: MFU of 20% in bfloat16: **reached**, 25.0%" in text
    assert "- xmc_gan: MFU of 40% in bfloat16: **missed**, 30.0%" in text
    assert "- df_gan: MFU of 20% in bfloat16: not measured" in text
    assert "| stack_gan_v2 | 24 | 900.0 | 15.0% | 2.0 | 30 |" in text
    assert "not measured: t2i_jax, df_gan, float32: out of memory" in text


def test_a_larger_batch_is_measured_once(tmp_path):
    from gpu import check, plan

    tiny = plan.Plan(**{**vars(plan.TINY), "systems": {"it": plan.System("char_cnn_rnn:debug", 4)}})
    out, work = tmp_path / "out", tmp_path / "work"
    out.mkdir()
    work.mkdir()
    one = check.Check(tiny, 1, work, out)
    one.batches(120.0)
    (found,) = json.loads((out / "results.json").read_text())["rows"]
    assert "error" not in found, (out / "logs.txt").read_text()
    assert found["batch"] == found["images"] == 8 and found["dtype"] == "bfloat16"
    assert found["images_per_second"] > 0 and 0 < found["mfu"]
    assert "| it | 8 | fits |" in (out / "table.md").read_text()
    begin = time.monotonic()
    check.Check(tiny, 1, work, out).batches(120.0)  # takes up what is there
    assert time.monotonic() - begin < 1.0


@pytest.mark.parametrize("name", ["FULL", "TINY"])
def test_every_system_of_the_plan_is_a_config_of_this_library(name):
    from gpu import plan

    for system in getattr(plan, name).systems.values():
        overrides = {"data.batch": system.batch, "dtype": "bfloat16"}
        assert fields.resolve(system.config, overrides).config.data.batch == system.batch


def test_without_a_gpu_it_says_so(tmp_path):
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHON": sys.executable, "OUT": str(tmp_path)}
    env.pop("T2I_JAX_TRACEBACK", None)
    script = ["bash", str(ROOT / "launch" / "gpu_check.sh")]
    done = subprocess.run(script, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--tiny" in done.stderr.splitlines()[-1]
    bad = [*script, "--parts=stepps"]
    done = subprocess.run(bad, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no stepps" in done.stderr
