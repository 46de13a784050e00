"""What a sweep does with trainings that end well, fail, hang or are stopped."""

import json
import os
import shutil
import signal
import sys
import threading
import time

import pytest

from t2i_jax.owner import Owner
from t2i_jax.sweeps import running
from t2i_jax.sweeps import state as states
from t2i_jax.sweeps.slots import gpus, slots

from .conftest import STAND_IN


def test_all_points_are_trained_once(place):
    status, out, err = place("--seeds=2")
    assert (status, err) == (0, "")
    order = [f"seed{seed}/{name}" for seed in (0, 1) for name in ("none", "half", "full")]
    assert place.started() == order == list(place.points())
    for start in place.starts():
        weight = {"none": 0.0, "half": 0.5, "full": 1.0}[start["run"].partition("/")[2]]
        assert start["loss"]["g"]["interp"] == weight
        assert start["cache"] == str(place.runs / "cache")
    rows = place.points()
    assert {row["status"] for row in rows.values()} == {"done"}
    assert rows["seed1/half"]["overrides"] == {"loss.g.interp": 0.5}
    assert rows["seed1/half"]["steps"] == rows["seed1/half"]["total"] == 4
    assert (place.runs / rows["seed1/half"]["log"]).exists()
    assert all(folder in out for folder in order)
    assert place("--seeds=2")[0] == 0 and place.started() == order  # nothing more to do
    (place.runs / "sweep.json").unlink()
    assert place("--seeds=2")[0] == 0 and place.started() == order
    assert {row["status"] for row in place.points().values()} == {"done"}


def test_more_seeds_and_a_longer_training_go_on(place):
    assert place("--only=half")[0] == 0
    assert place("--seeds=0,7", "--only=half,none")[0] == 0
    assert place.started() == ["seed0/half", "seed0/none", "seed7/none", "seed7/half"]
    assert place("--only=half", "--train.duration=6 steps")[0] == 0
    assert place.started()[4:] == ["seed0/half"]
    rows = place.points()
    assert rows["seed0/half"]["steps"] == 6 and rows["seed7/half"]["steps"] == 4
    metrics = (place.runs / "seed0/half/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in metrics] == [1, 2, 3, 4, 5, 6]


def test_a_failed_point_stops_no_other_and_is_tried_again(place):
    place.acts(half={"fail_at": 2, "why": "no\n  [good]"}, none={"fail_at": 3, "why": "worse"})
    status, out, _ = place()
    assert status == 1 and place.started() == ["seed0/none", "seed0/half", "seed0/full"]
    assert place.statuses() == {
        "seed0/none": "failed",
        "seed0/half": "failed",
        "seed0/full": "done",
    }
    assert place.points()["seed0/half"]["error"] == "no [good]"
    assert out.count("no [good]") == 2 and "worse" in out
    place.acts(none={"fail_at": 1, "why": "still bad"})
    assert place()[0] == 1 and place.started()[3:] == ["seed0/none", "seed0/half"]
    assert list(place.statuses().values()) == ["failed", "done", "done"]
    assert place.points()["seed0/half"]["error"] == ""


def test_a_training_without_its_last_checkpoint_or_killed_has_failed(place):
    place.acts(none={"fail_at": 1, "why": "x"})
    script = place.folder / "t.sh"
    script.write_text('case "$*" in *none*) kill -9 $$;; *) echo nothing; exit 0;; esac\n')
    assert place(f"--train_command=bash {script}", "--only=none,half")[0] == 1
    rows = place.points()
    assert rows["seed0/none"]["error"] == "ended by SIGKILL"
    assert "before its last checkpoint" in rows["seed0/half"]["error"]


def call_when(condition, what) -> threading.Thread:
    """A thread that waits for a condition, then does something."""

    def wait():
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        what()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_trainings_save_and_the_same_command_goes_on(place, number):
    place.acts(none={"forever": True, "seconds": 0.02})
    path = place.runs / "seed0/none/metrics.jsonl"
    thread = call_when(path.exists, lambda: os.kill(os.getpid(), number))
    status, _, err = place()
    thread.join()
    assert status == 128 + number and "The same command goes on" in err
    row = place.points()["seed0/none"]
    assert row["status"] == "waiting" and "SIGTERM" in row["error"] and row["steps"] > 0
    assert place.started() == ["seed0/none"]
    place.acts()
    assert place(f"--train.duration={row['steps'] + 2} steps", "--only=none")[0] == 0
    assert place.points()["seed0/none"]["steps"] == row["steps"] + 2


def test_a_signal_reaches_what_a_script_has_started(place):
    place.acts(none={"seconds": 1})
    script = place.folder / "t.sh"
    script.write_text(f'trap true TERM\n{sys.executable} {STAND_IN} "$@"\nexit $?\n')
    path = place.runs / "seed0/none/metrics.jsonl"
    thread = call_when(path.exists, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert place(f"--train_command=bash {script}", "--only=none")[0] == 143
    thread.join()
    row = place.points()["seed0/none"]
    assert (row["status"], row["error"]) == ("waiting", "stopped by SIGTERM")
    assert 0 < row["steps"] < 4


def test_what_is_trained_elsewhere_is_waited_for(place):
    """As by what a killed sweep has left."""
    training = Owner(place.runs / "seed0/half", "a training")
    log, released = place.runs / "seed0/half.log", []

    def release():
        time.sleep(0.5)
        released.append(time.time())
        training.close()

    thread = call_when(log.exists, release)
    status, out, _ = place()
    thread.join()
    assert status == 0 and "seed0/half: it is trained elsewhere, and waited for" in out
    assert set(place.statuses().values()) == {"done"}
    half = next(start for start in place.starts() if start["run"] == "seed0/half")
    assert half["time"] > released[0]


def test_waiting_for_another_training_can_be_stopped(place):
    with Owner(place.runs / "seed0/half", "a training"):
        log = place.runs / "seed0/half.log"
        thread = call_when(log.exists, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert place("--only=half")[0] == 130
        thread.join()
    assert place.statuses() == {"seed0/half": "waiting"} and not place.starts()


def test_a_second_signal_kills(place):
    place.acts(none={"forever": True, "seconds": 0.02, "deaf": True})
    path = place.runs / "seed0/none/metrics.jsonl"

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    thread = call_when(path.exists, twice)
    assert place()[0] == 130
    thread.join()
    row = place.points()["seed0/none"]
    assert (row["status"], row["error"], row["steps"]) == ("waiting", "stopped by SIGKILL", 0)


def test_a_sweep_that_fails_itself_leaves_no_process(place, monkeypatch):
    """Its trainings save and end."""

    def full(*_):
        if running.steps_now(place.runs / "seed0/none"):
            raise OSError("No space left on device")

    monkeypatch.setattr(running, "LOOK", 0.05)
    monkeypatch.setattr("t2i_jax.sweeps.state.State.note", full)
    place.acts(none={"forever": True, "seconds": 0.02})
    status, _, err = place()
    assert status == 2 and err == "error: No space left on device\n"
    assert states.done_steps(place.runs / "seed0/none") > 0


def test_a_crash_while_stopping_is_no_stop(place):
    """Here of a script that answers SIGTERM so."""
    script = place.folder / "t.sh"
    script.write_text(f"trap 'kill -SEGV $$' TERM\ntouch {place.folder}/began\nsleep 20 & wait\n")
    began = (place.folder / "began").exists
    thread = call_when(began, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert place(f"--train_command=bash {script}", "--only=none")[0] == 143
    thread.join()
    row = place.points()["seed0/none"]
    assert (row["status"], row["error"]) == ("failed", "ended by SIGSEGV")


def test_an_interrupt_while_points_are_checked_is_a_line(place, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("t2i_jax.sweeps.checks.check", interrupted)
    assert place() == (130, "", "stopped. The same command goes on.\n")


def test_points_of_earlier_calls_are_counted(place, monkeypatch):
    counts = []
    monkeypatch.setattr("t2i_jax.sweeps.showing.Show.count", lambda _, ended: counts.append(ended))
    assert place("--only=half")[0] == 0 and counts[0] == 0 and counts[-1] == 1
    counts.clear()
    assert place()[0] == 0 and counts[0] == 1 and counts[-1] == 3


def test_what_is_left_has_the_whole_machine(place):
    assert place("--only=none,half")[0] == 0
    assert place("--jobs=3")[0] == 0
    assert place.starts()[2]["cores"] == sorted(os.sched_getaffinity(0))


def test_two_at_once_have_a_core_each(place):
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("one core")
    place.acts(none={"seconds": 0.3}, half={"seconds": 0.3})
    assert place("--jobs=2", "--only=none,half")[0] == 0
    first, second = place.starts()
    assert second["time"] - first["time"] < 1
    assert sorted(first["cores"] + second["cores"]) == cores


def test_gpus_are_shared_out():
    """Which GPU every process sees; of one GPU, each takes its part of the memory."""

    def seen(jobs, **environ):
        return [slot.variables for slot in slots(jobs, environ)]

    assert seen(1, CUDA_VISIBLE_DEVICES="0,1") == [{}]
    assert seen(2, CUDA_VISIBLE_DEVICES="4,5,6") == [
        {"CUDA_VISIBLE_DEVICES": "4,6"},
        {"CUDA_VISIBLE_DEVICES": "5"},
    ]
    memory = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.450"}
    assert seen(2, CUDA_VISIBLE_DEVICES="7") == [{"CUDA_VISIBLE_DEVICES": "7", **memory}] * 2
    own = seen(2, CUDA_VISIBLE_DEVICES="7", XLA_PYTHON_CLIENT_MEM_FRACTION="0.2")
    assert own == [{"CUDA_VISIBLE_DEVICES": "7"}] * 2
    assert gpus({"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "0"}) == []
    assert gpus({"CUDA_VISIBLE_DEVICES": ""}) == []


def test_gpus_of_the_machine(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert gpus({}, str(tmp_path)) == ["0", "1"]


NEEDS = """
def sweep():
    yield {"name": "second", "frozen.damsm": "{workdir}/first", "loss.g.interp": 0.5}
    yield {"name": "first"}
    yield {"name": "third", "frozen.damsm": "{workdir}/first"}
"""


def test_a_run_that_others_need_comes_first(place):
    """And where it fails, they do, without being begun."""
    place.write(NEEDS)
    place.acts(first={"seconds": 0.1, "fail_at": 3, "why": "bad"})
    assert place("--jobs=3")[0] == 1
    assert place.started() == ["seed0/first"]
    assert "it needs seed0/first" in place.points()["seed0/third"]["error"]
    assert place("--only=second")[0] == 1 and len(place.started()) == 1
    place.acts()
    assert place("--jobs=2")[0] == 0
    assert place.started()[1] == "seed0/first" and len(place.started()) == 4
    shutil.rmtree(place.runs / "seed0/third")
    assert place("--only=third")[0] == 0


def test_one_task_of_an_array(place):
    """It trains its own point, and writes of no other, though a sweep runs there."""
    assert place("--index=1", "--seeds=2")[0] == 0
    assert place.started() == ["seed0/half"]
    with Owner(place.runs, "a sweep"):
        assert place("--index=5", "--seeds=2")[0] == 0
        status, _, err = place("--seeds=2")
    assert status == 2 and "in use by a sweep" in err and err.count("\n") == 1
    assert place.started() == ["seed0/half", "seed1/full"]
    done = [folder for folder, status in place.statuses().items() if status == "done"]
    assert done == ["seed0/half", "seed1/full"] and len(place.points()) == 6
    place.acts(none={"forever": True, "seconds": 0.02})
    path = place.runs / "seed0/none/metrics.jsonl"
    thread = call_when(path.exists, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert place("--index=0", "--seeds=2")[0] == 143
    thread.join()
