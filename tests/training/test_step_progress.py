"""Rates and the time left, by a clock of our own."""

import pytest

from t2i_jax.training import step_progress
from t2i_jax.training.step_progress import Progress


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Terminal:
    """Standard error as a terminal; keeps what is written."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(step_progress.time, "perf_counter", clock)
    return clock


def test_only_steps_count(clock, capsys):
    """Compiling before `restart`, and what happens inside `paused`, are not in the rates."""
    shown = Progress(total=100, images_per_step=8)
    clock.now += 500  # compiles
    shown.restart()
    clock.now += 5
    with shown.paused():
        clock.now += 70  # saves
    assert shown.interval(10, {"g/total": 1.5, "g/grad_norm": 9.0}) == {
        "steps_per_second": pytest.approx(2),
        "images_per_second": pytest.approx(16),
    }
    line = "step 10/100 (10.0 %)  2.00 steps/s  16 images/s  ETA 0:00:45  g/total 1.5\n"
    assert capsys.readouterr().err == line
    clock.now += 2.5
    assert shown.interval(20, {})["steps_per_second"] == pytest.approx(4)


def test_a_resumed_run_counts_its_own_steps(clock, capsys):
    shown = Progress(total=100, images_per_step=1)
    shown.start_at(50)
    shown.restart()
    clock.now += 10
    assert shown.interval(60, {})["steps_per_second"] == pytest.approx(1)
    assert "ETA 0:00:40" in capsys.readouterr().err


def test_the_live_line(clock, monkeypatch):
    """On a terminal one line is drawn over and over, seldom; a plain line takes its place."""
    terminal = Terminal()
    monkeypatch.setattr(step_progress.sys, "stderr", terminal)
    shown = Progress(total=100, images_per_step=1)
    shown.restart()
    for step in range(1, 11):
        clock.now += 0.1
        shown.live(step)
    assert terminal.text.count("\r\x1b[Kstep ") == 3 and "\n" not in terminal.text
    terminal.text = ""
    shown.say("saved")
    assert terminal.text == "\r\x1b[Ksaved\n"


def test_the_log_has_times(tmp_path, capsys):
    shown = Progress(total=1, images_per_step=1, log=tmp_path / "log.txt")
    shown.say("hello")
    shown.close()
    (line,) = (tmp_path / "log.txt").read_text().splitlines()
    stamp, text = line.split(" ")
    assert text == "hello" and len(stamp) == len("2026-01-01T00:00:00")
