"""launch/step_ratios.py: its clocks, its statistics, and this tree measured against itself."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from quick_compiling import options

from t2i_jax.training import fields

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = [sys.executable, str(ROOT / "launch" / "step_ratios.py")]
TINY = "--config=char_cnn_rnn:debug"


@pytest.fixture(autouse=True)
def launch_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "launch"))


def run(*arguments: str) -> subprocess.CompletedProcess:
    env = {**os.environ, "XLA_FLAGS": options(), "T2I_JAX_TRACEBACK": ""}
    command = [*SCRIPT, *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_tree_costs_what_it_costs(tmp_path):
    out = tmp_path / "found.json"
    done = run(TINY, "--against=.", "--rounds=2", "--warm_up=1", "--data.batch=6", f"--out={out}")
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())["char_cnn_rnn:debug"]
    ours, theirs = found["sides"].values()
    for field in ("parameters", "flops", "program_bytes", "rows"):
        assert ours[field] == theirs[field]
    assert ours["rows"] == 6 and ours["parameters"]["net"] > 0
    assert all(len(side[kind]) == 2 for side in (ours, theirs) for kind in ("cpu", "wall"))
    assert all(side["peak"] > 50e6 and side["compile"] > 0 for side in (ours, theirs))
    (ratios,) = found["ratios"]
    assert 0.8 < ratios["peak"] < 1.25 and 0.1 < ratios["cpu"][1] < 10
    assert "round 2/2" in done.stderr and "s left" in done.stderr
    assert f"| char_cnn_rnn:debug | / . | {ratios['cpu'][1]:.3f} |" in done.stdout


@pytest.mark.parametrize(
    "arguments, told",
    [
        ([], "which step?"),
        (["--case=stack_gan_v3"], "did you mean 'stack_gan_v2'"),
        ([TINY, "--against=0123abc"], "neither 'torch', a folder nor a commit"),
        ([TINY, "--against=docs"], "no t2i_jax in that folder"),
        ([TINY, "--against=.,."], "twice"),
        ([TINY, "--threads=4000"], "--threads=4000: this process may use"),
        ([TINY, "data.batch=6"], "cannot read 'data.batch=6'"),
        (["--config=gan_in_cls:debug"], "no config 'gan_in_cls'"),
        ([TINY, "--data.bach=6"], "did you mean 'batch'"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(arguments, told):
    done = run(*arguments)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1], done.stderr


def test_a_worker_that_ends_is_told_with_its_last_words():
    from ratios.sides import Side, Worker

    with Worker(Side("other", ROOT, "/bin/false"), [0]) as worker:
        with pytest.raises(ValueError, match="other: its process ended with status 1"):
            worker.build()


def test_a_stand_in_that_is_missing_is_told():
    from ratios.sides import Side, Worker

    cores = sorted(os.sched_getaffinity(0))[:1]
    with Worker(Side("torch", None), cores) as worker:
        with pytest.raises(ValueError, match="no stand-in of 'style_encoder'.*df_gan"):
            worker.build(config={"system": "style_encoder"})


def test_another_commit_is_checked_out_and_removed():
    from ratios.sides import opened

    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True, check=False)
    if head.returncode:
        pytest.skip("this tree is not a git repository")
    with opened("HEAD", sys.executable) as side:
        assert (side.tree / "t2i_jax" / "__init__.py").is_file()
        assert side.is_named(head.stdout[:7]) and not side.is_named("torch")
    assert not side.tree.exists()


def test_cpu_time_is_that_of_all_threads_and_not_of_waiting():
    from ratios.usage import timed

    def busy():
        begin = time.thread_time()
        while time.thread_time() - begin < 0.1:
            pass

    def two_threads():
        threads = [threading.Thread(target=busy) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    spent, _ = timed(two_threads)
    assert 0.2 <= spent["cpu"] < 0.4
    spent, result = timed(lambda: time.sleep(0.1) or "slept")
    assert spent["cpu"] < 0.05 < 0.1 <= spent["wall"] and result == "slept"


def test_the_peak_is_that_since_it_was_forgotten():
    code = """
import numpy as np
from ratios.usage import forget_peak, peak_memory
held = np.ones(50_000_000)
before = peak_memory()
del held
print(forget_peak(), before, peak_memory())
held = np.ones(12_500_000)
print(peak_memory())
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "launch")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    forgotten, before, after, later = done.stdout.split()
    if forgotten == "False":
        pytest.skip("this system does not let a process lower its mark")
    assert int(before) - int(after) > 350e6
    assert 90e6 < int(later) - int(after) < 150e6


def test_a_ratio_of_medians_and_its_spread():
    from ratios.summary import ratio

    assert ratio([2.0, 2.0, 2.0], [4.0, 4.0, 4.0]) == (0.5, 0.5, 0.5)
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(1.0, 0.05, 40), rng.normal(2.0, 0.1, 40)
    low, middle, high = ratio(ours, theirs)
    assert middle == np.median(ours) / np.median(theirs)
    # The standard error of a median of 40 normal values is 1.2533 sigma / sqrt(40), of a ratio
    # of two as uncertain ones sqrt(2) times that.
    error = 1.2533 * 0.05 / np.sqrt(40) * np.sqrt(2)
    assert 0.5 < (high - low) / (2 * 1.96 * error * 0.5) < 2
    slow = np.where(np.arange(40) < 8, 10.0, 1.0)  # rounds in which the machine was busy
    assert abs(ratio(ours * slow, theirs * slow)[1] / 0.5 - 1) < 0.1


def test_aims_are_of_the_side_that_they_name():
    from ratios.cases import BEFORE, CASES, PEAK
    from ratios.sides import Side
    from ratios.summary import compared, overview

    side = Side("old", ROOT, commit=f"{BEFORE}{'0' * 33}")
    other = Side("other", ROOT, commit="f" * 40)
    row = {"cpu": [1.0], "wall": [1.0], "peak": 70}
    twice = {"cpu": [2.0], "wall": [2.0], "peak": 80}
    found = {"this tree": row, "old": twice, "other": twice}
    ratios = compared(found, [side, other], CASES["stack_gan_v2"])
    assert ratios[0]["cpu_aim"] == 0.65 and ratios[0]["peak_aim"] == PEAK
    assert ratios[1]["cpu_aim"] is None
    lines = overview({"v2": {"ratios": ratios}}).splitlines()
    assert "| 0.500 (reached: 0.65) | 0.500-0.500 | 0.875 (missed: 0.8) |" in lines[2]
    assert "| 0.500 | 0.500-0.500 | 0.875 |" in lines[3]


def test_every_case_is_a_config_of_this_library():
    from ratios.cases import CASES

    for case in CASES.values():
        config = fields.resolve(case.config, case.overrides).config
        assert config.data.batch == case.overrides["data.batch"]
