"""launch/local.py: a real training in two processes, and stand-ins for what goes wrong."""

import os
import pathlib
import re
import shlex
import signal
import sys
import threading
import time

import pytest
from train_commands import TWICE, Command, metrics

from launch.scripts import HARD, load
from t2i_jax.data import catalog
from t2i_jax.training import runs

local = load("local")


@pytest.fixture(autouse=True)
def heard_signals():
    """Also where the tests were started with some ignored."""
    before = {s: signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_training_saves_at_sigterm(tmp_path):
    """Two real processes; `tests/training/test_processes.py` has one that goes on to its end."""
    catalog.prepare("toy_birds", None, tmp_path / "data", num_images=64, size=48)
    workdir = tmp_path / "run"
    fields = ["--train.duration=1000 steps", "--train.sample_every=0 steps", "--train.log_every=1"]
    variables = {"TMPDIR": str(tmp_path)}
    command = Command(workdir, tmp_path / "data", *fields, program=TWICE, variables=variables)
    command.wait_for(2)
    command.process.terminate()
    status, printed = command.finish()
    assert status == 143, printed
    step = max(metrics(workdir))
    assert f"saved step {step}. The same command goes on." in printed and "died" not in printed
    assert (runs.checkpoints_dir(workdir) / str(step)).is_dir()
    assert len(list(tmp_path.glob("t2i_jax_local_*/process_1.log"))) == 1


def python(code: str, log: pathlib.Path | None = None) -> local.Member:
    return local.Member((sys.executable, "-c", code), {}, log)


def test_one_that_dies_stops_the_others(tmp_path, capfd):
    log = tmp_path / "process_1.log"
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: 0); print('on')\n"
    stubborn += "for _ in range(600): time.sleep(0.1)"
    dies = "import sys, time; print('no room'); time.sleep(0.5); sys.exit(7)"
    began = time.monotonic()
    assert local.supervise([python(stubborn), python(dies, log), python(stubborn)], 0.5) == 7
    assert time.monotonic() - began < 30
    printed = capfd.readouterr().err
    assert f"process 1 died with status 7 (all it printed: {log}); stopping the others" in printed
    assert "[process 1] no room" in printed and "killing what has not ended" in printed


def test_one_that_a_signal_kills():
    killed = "import os; os.kill(os.getpid(), 9)"
    assert local.supervise([python("import time; time.sleep(60)"), python(killed)], 20) == 137


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_signal_reaches_all_and_their_time_to_save_has_no_end(number, tmp_path, capfd):
    """And one that was told to stop by somebody else is none that died."""
    saves = f"""
import pathlib, signal, sys, time
def hear(number, _):
    time.sleep(0.5)
    pathlib.Path(sys.argv[1], str(time.time_ns())).touch()
    sys.exit(128 + number)
signal.signal({number}, hear)
pathlib.Path(sys.argv[1], "ready").touch()
time.sleep(60)
"""
    group = []
    for i in range(2):
        (tmp_path / str(i)).mkdir()
        command = (sys.executable, "-c", saves, str(tmp_path / str(i)))
        group.append(local.Member(command, {}, None))

    def ask():
        while len(list(tmp_path.glob("*/ready"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=ask).start()
    assert local.supervise(group, 0.1) == 128 + number
    assert [len(list((tmp_path / str(i)).iterdir())) for i in range(2)] == [2, 2]
    assert capfd.readouterr().err == ""


def test_dry_run_prints_what_a_shell_would_start(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["local.py", "--processes=2", "--gpus=0,1,5,7", "--dry_run"])
    monkeypatch.setattr(sys, "argv", [*sys.argv, f"--logs={tmp_path / 'a b'}", "--", *HARD])
    assert local.main() == 0
    assert not (tmp_path / "a b").exists()
    printed = capsys.readouterr().out
    started = []
    for share, text in zip(("0,1", "5,7"), re.split(r"\n(?=JAX_)", printed.rstrip()), strict=True):
        words = shlex.split(text)
        assert f"CUDA_VISIBLE_DEVICES={share}" in words
        started.append(words)
        at = words.index("--multihost")
        assert words[at - 3 : at] == [sys.executable, "-m", "t2i_jax.train"]
        assert words[at + 1 : at + 1 + len(HARD)] == HARD
    assert started[0][0] == started[1][0]  # the coordinator
    assert started[1][-2:] == [f">{tmp_path / 'a b'}/process_1.log", "2>&1"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--processes=2", "--gpus=0,1,2", "--", "--config=x"], "3, which 2 processes cannot"),
        (["--processes=2", "--cpu_devices=2"], "what to train is missing"),
        (["--processes=0", "--cpu_devices=2", "--", "--config=x"], "from 1 to 1,024"),
        (["--processes=2", "--", "--config=x"], "one of the arguments --gpus --cpu_devices"),
        (["--processes=2", "--gpus=,", "--", "--config=x"], "names 0, which"),
    ],
)
def test_what_is_refused(words, why, capsys):
    with pytest.raises(SystemExit) as stop:
        local.parse(words)
    assert stop.value.code == 2 and why in capsys.readouterr().err
