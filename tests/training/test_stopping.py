"""Every way in which a training is asked to stop, and a directory that it cannot have."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from train_commands import SPEC, Command, metrics

from t2i_jax import config as configs
from t2i_jax.owner import FILE, Owner
from t2i_jax.training import loop, runs
from t2i_jax.training.checkpoints import Checkpoints
from t2i_jax.training.stopping import Stopped, Stopping

LONG = ("--train.duration=100000 steps", "--train.sample_every=0 steps", "--train.log_every=1")
LONG += ("--train.checkpoint_every=100000 steps",)


def saved(workdir) -> int | None:
    return Checkpoints(runs.checkpoints_dir(workdir), read_only=True).latest_step()


@pytest.fixture(autouse=True)
def heard_signals():
    """Processes that are started here hear all signals, even if the tests run in the background or
    under nohup, which ignore some.
    """
    before = {s: signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda s: s.name)
def test_a_signal_saves_the_step(number, data_dir, tmp_path):
    command = Command(tmp_path, data_dir, *LONG)
    command.wait_for(2)
    command.process.send_signal(number)
    status, printed = command.finish()
    assert status == 128 + number, printed
    step = max(metrics(tmp_path))
    assert f"{number.name}" in printed and f"saved step {step}. The same command" in printed
    assert "Traceback" not in printed
    assert saved(tmp_path) == step


def test_a_closed_pipe_saves_the_step(data_dir, tmp_path):
    command = Command(tmp_path, data_dir, *LONG)
    command.wait_for(2)
    command.process.stderr.close()
    assert command.process.wait(60) == 128 + signal.SIGPIPE
    assert saved(tmp_path) == max(metrics(tmp_path))
    assert "which was closed; saved step" in (tmp_path / "log.txt").read_text()


def test_a_workdir_that_is_removed_ends_the_training(data_dir, tmp_path):
    command = Command(tmp_path / "run", data_dir, *LONG)
    command.wait_for(2)
    (tmp_path / "run").rename(tmp_path / "gone")
    status, printed = command.finish()
    assert status == 2, printed
    assert f"error: {tmp_path / 'run'} was removed, renamed or replaced" in printed


def test_a_second_training_in_a_workdir_is_refused(data_dir, tmp_path):
    with Owner(tmp_path, "a training"):
        before = (tmp_path / FILE).read_text()
        status, printed = Command(tmp_path, data_dir, *LONG).finish()
        assert (tmp_path / FILE).read_text() == before
    assert status == 2
    assert f"{tmp_path} is in use by a training" in printed and f"process {os.getpid()}" in printed
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_in_a_thread_and_asked_by_a_program(data_dir, tmp_path, one_device, capsys):
    """Without signals; and what was printed, curves above all, is made up by the next start, which
    names what else the run has lost.
    """
    fields = ["train.duration=5 steps", "train.sample_every=0 steps", "train.log_every=1"]
    config = configs.override(configs.load(SPEC), [f"data.data_dir={data_dir}", *fields])
    stopping, ended = Stopping(), []

    def work():
        try:
            loop.train(config, tmp_path, stopping=stopping)
        except SystemExit as stop:
            ended.append(stop.code)

    stopping.ask(signal.SIGTERM, "a test")
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [143] and saved(tmp_path) == 1
    loop.train(config, tmp_path)
    lost = {
        "curves.png": "",
        "provenance.json": "what it said of them is lost",
        "tokenizer.json": "it is made anew",
        "frozen/encoder.safetensors": "it is made anew",
    }
    for name in lost:
        (tmp_path / name).unlink()
    capsys.readouterr()
    loop.train(config, tmp_path)  # nothing to do but that
    printed = capsys.readouterr().err
    assert (tmp_path / "curves.png").exists() and saved(tmp_path) == 5
    for name, what in lost.items():
        line = f"{tmp_path / name} is missing, though 5 steps are done: {what}"
        assert (line in printed) == bool(what)


def test_before_the_steps_a_signal_ends_it_where_it_stands():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as stop, Stopping().listening():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert (stop.value.code, stop.value.why) == (143, "SIGTERM")
    assert signal.getsignal(signal.SIGTERM) == before


PROGRAM = """
import sys, time
from t2i_jax.training.stopping import Stopping
with Stopping().listening() as stopping, stopping.after_the_step():
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
        if stopping.status and "obey" in sys.argv:
            sys.exit(stopping.status)
"""


@pytest.fixture
def program():
    """Starts a loop that obeys, or doesn't, and kills it after half a minute at the latest."""
    timers = []

    def start(*arguments, before=()) -> subprocess.Popen:
        command = [*before, sys.executable, "-c", PROGRAM, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()
        timers.append(threading.Timer(30, process.kill))
        timers[-1].start()
        return process

    yield start
    for timer in timers:
        timer.cancel()
        timer.function()


def test_a_second_ctrl_c_ends_it_at_once(program):
    process = program()
    process.send_signal(signal.SIGINT)
    assert b"Ctrl-C again ends it at once" in process.stderr.readline() + process.stderr.readline()
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130


def test_what_nohup_ignores_stays_ignored(program):
    process = program("obey", before=["nohup"])
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    assert process.wait(30) == 143
