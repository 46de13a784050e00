"""What takes long is told while it goes on: by a line that moves, or by lines in a log."""

import os
import pty
import re
import subprocess
import sys
import time

import pytest

from t2i_jax import waiting
from t2i_jax.waiting import Waiting


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST", 0.05)
    monkeypatch.setattr(waiting, "EVERY", 0.1)


def test_a_log_gets_lines_while_the_work_goes_on(quick):
    said = []
    with Waiting("compiling", said.append, live=False):
        while len(said) < 3:
            time.sleep(0.01)
    assert said == ["compiling: for 0:00:00"] * 3
    time.sleep(0.2)
    assert len(said) == 3, "nothing is said of what is over"


def test_short_work_is_not_mentioned():
    said = []
    with Waiting("compiling", said.append, live=False):
        pass
    assert said == []


def test_what_is_counted_ends_with_its_number():
    said = []
    with Waiting("captions", said.append, done=0, total=1500, live=False) as shown:
        shown.done += 1500
    assert len(said) == 1 and re.fullmatch(r"captions: 1,500 of 1,500 done in \d\.\d s", said[0])


def test_what_fails_is_not_done():
    said = []
    with pytest.raises(KeyError), Waiting("captions", said.append, done=0, live=False):
        raise KeyError
    assert said == []


def test_speed_and_what_is_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    shown = Waiting("kills", done=0, total=3, live=False)
    shown._began = 0.0
    now[0], states = 20.0, []
    for done in (0, 1, 2):
        shown.done = done
        states.append(shown.state())
        now[0] += 10
    assert states == [
        "kills: 0 of 3, for 0:00:20",
        "kills: 1 of 3, 30.0 s each, ETA 0:01:00",
        "kills: 2 of 3, 20.0 s each, ETA 0:00:20",
    ]
    shown.done, now[0] = 1200, 2.0
    shown.total = 1800
    assert shown.state().endswith(" 600/s, ETA 0:00:01")


def test_a_terminal_gets_one_line_that_goes_again():
    """While the main thread waits in a call that frees the interpreter, as compiling does."""
    code = (
        "import time; from t2i_jax import waiting; waiting.LIVE = 0.05\n"
        "with waiting.Waiting('compiling ' + 'x' * 300):\n    time.sleep(0.4)\n"
    )
    main, side = pty.openpty()
    env = {**os.environ, "COLUMNS": "60"}
    subprocess.run([sys.executable, "-c", code], stderr=side, env=env, check=True)
    os.close(side)
    told = os.read(main, 65536).decode()
    os.close(main)
    states = told.split("\r\x1b[K")
    assert "\n" not in told and len(states) > 4 and states[-1] == ""
    assert {len(state) for state in states[1:-1]} == {59}, "a line that wraps is not drawn over"
