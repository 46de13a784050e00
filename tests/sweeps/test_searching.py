"""A search finds what is good, prunes what is not, and goes on where it was stopped."""

import json
import os
import signal
import sys
import time

import numpy as np
import pytest

from t2i_jax.sweeps import points, searching
from t2i_jax.sweeps import space as spaces
from t2i_jax.sweeps.ranges import choice, log_uniform, uniform, whole

from .conftest import CONFIG
from .test_running import call_when

pytest.importorskip("optuna")

TRIAL = "seed0/trial_0000"
SEARCH = """
from t2i_jax.sweeps.ranges import choice, log_uniform, uniform, whole

def search():
    return {
        "loss.g.interp": uniform(0.0, 2.0),
        "recipe.augment": choice((), ("color", "cutout"), ("translation",)),
        "generator.channels": whole(4, 16),
        "optim.g.lr": log_uniform(1e-5, 1e-3),
        "train.samples": 3,
        "metric": "d/total",
        "direction": "minimize",
    }
"""


@pytest.fixture
def searched(place):
    place.write(SEARCH)
    return place


def test_trials_are_points_and_a_search_goes_on(searched, monkeypatch):
    """The stand-in logs the weight as the metric: the least weight is best."""
    status, out, err = searched("--search=4")
    assert (status, err) == (0, "")
    rows = searched.points()
    assert list(rows) == [f"seed0/trial_{i:04d}" for i in range(4)]
    for row in rows.values():
        assert row["status"] == "done" and row["value"] == row["overrides"]["loss.g.interp"]
        assert 4 <= row["overrides"]["generator.channels"] <= 16
        assert 1e-5 <= row["overrides"]["optim.g.lr"] <= 1e-3
        assert row["overrides"]["recipe.augment"] in ([], ["color", "cutout"], ["translation"])
        assert row["overrides"]["train.samples"] == 3
    best = min(rows.values(), key=lambda row: row["value"])
    assert f"best: {best['workdir']}, d/total" in out
    told = json.loads((searched.runs / "sweep.json").read_text())
    assert told["search"] == {"metric": "d/total", "direction": "minimize"}
    counts = []
    with monkeypatch.context() as m:
        m.setattr("t2i_jax.sweeps.showing.Show.count", lambda _, ended: counts.append(ended))
        assert searched("--search=6")[0] == 0
    assert counts[0] == 4 and counts[-1] == 6
    rows = searched.points()
    assert len(rows) == len(searched.starts()) == 6
    weights = [row["overrides"]["loss.g.interp"] for row in rows.values()]
    assert len(set(weights)) == 6  # not the first ones again
    assert searched("--search=6")[0] == 0 and len(searched.starts()) == 6
    for change, message in (
        ('"minimize"', '"maximize"'),
        ('("translation",)', '("color",)'),
        ('"train.samples": 3', '"train.samples": 4'),
        ('"direction"', f'"config": "{CONFIG}", "direction"'),
    ):
        searched.write(SEARCH.replace(change, message))
        status, _, err = searched("--search=7")
        assert status == 2 and "Name another folder" in err and err.count("\n") == 1
    searched.write(SEARCH)
    status, _, err = searched("--search=7", "--train.duration=6 steps")
    assert status == 2 and "options" in err and len(searched.starts()) == 6
    status, _, err = searched("--search=7", "--eval=--protocol=tsne")
    assert status == 2 and "evals" in err and len(searched.starts()) == 6


def test_a_hopeless_training_is_pruned(searched, monkeypatch):
    """Five good trials, then one that would never end."""
    monkeypatch.setattr("t2i_jax.sweeps.running.LOOK", 0.05)
    acts = {f"trial_{i:04d}": {"loss": 0.1, "seconds": 0.12} for i in range(5)}
    searched.acts(**acts, trial_0005={"loss": 5.0, "seconds": 0.05, "forever": True})
    status, out, _ = searched("--search=6")
    assert status == 0 and list(searched.statuses().values()) == ["done"] * 5 + ["pruned"]
    assert searched("--search=6")[0] == 0 and len(searched.starts()) == 6
    assert searched.statuses()["seed0/trial_0005"] == "pruned"
    (searched.runs / "sweep.json").unlink()
    assert searched("--search=6")[0] == 0
    assert list(searched.statuses().values()) == ["done"] * 5 + ["pruned"]


def test_what_is_trained_is_not_pruned_while_it_is_evaluated(searched, monkeypatch):
    """However bad its last steps were."""
    script = searched.folder / "evaluate.py"
    script.write_text("import time\ntime.sleep(0.6)\n")
    monkeypatch.setattr(points, "EVALUATE", (sys.executable, str(script)))
    monkeypatch.setattr("t2i_jax.sweeps.running.LOOK", 0.05)
    searched.acts(**{f"trial_{i:04d}": {"loss": 0.1} for i in range(5)}, trial_0005={"loss": 5.0})
    assert searched("--search=6", "--eval=--protocol=tsne")[0] == 0
    assert list(searched.statuses().values()) == ["done"] * 6
    assert searched.points()["seed0/trial_0005"]["value"] == 5.0


def test_a_trial_that_was_broken_off_is_resumed(searched):
    searched.acts(trial_0001={"forever": True, "seconds": 0.02})
    path = searched.runs / "seed0/trial_0001/metrics.jsonl"
    thread = call_when(path.exists, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert searched("--search=2")[0] == 130
    thread.join()
    before = searched.points()["seed0/trial_0001"]
    assert before["status"] == "waiting"
    searched.acts()
    assert searched("--search=2")[0] == 0
    after = searched.points()["seed0/trial_0001"]
    assert after["status"] == "done" and after["overrides"] == before["overrides"]
    assert searched.started()[1:] == ["seed0/trial_0001"] * (len(searched.starts()) - 1)


def test_failed_trials_do_not_count_and_three_in_a_row_end_it(searched):
    searched.acts(trial_0000={"fail_at": 1, "why": "bad luck"})
    assert searched("--search=1")[0] == 1
    assert list(searched.statuses().values()) == ["failed", "done"]
    searched.acts(**{f"trial_{i:04d}": {"fail_at": 1, "why": "disk"} for i in range(9)})
    status, out, _ = searched("--search=9")
    assert status == 1 and len(searched.starts()) == 5 and out.count("disk") >= 3
    searched.acts()
    searched.write(SEARCH.replace("d/total", "d/totle"))
    assert "Name another folder" in searched("--search=9")[2]


def test_what_a_kill_leaves_of_the_study(searched):
    """Half a line, and a lock."""
    assert searched("--search=1")[0] == 0
    journal = searched.runs / searching.JOURNAL
    with journal.open("ab") as file:
        file.write(journal.read_bytes().splitlines()[-1][:-5])
    journal.with_name(f"{journal.name}.lock").symlink_to(journal)
    began = time.monotonic()
    assert searched("--search=2")[0] == 0 and searched("--search=3")[0] == 0
    assert time.monotonic() - began < 25 and len(searched.points()) == 3


def test_a_metric_that_no_run_has_is_said(searched):
    searched.write(SEARCH.replace("d/total", "toy_attributes/colour"))
    status, _, err = searched("--search=2", "--eval=--protocol=tsne")
    assert status == 2 and "tsne is evaluated, not toy_attributes; give --eval=" in err
    twice = [f"--eval=--protocol=toy_attributes --classifier={x}" for x in "ab"]
    status, _, err = searched("--search=2", *twice)
    assert status == 2 and "more than one --eval gives it" in err and not searched.starts()
    searched.write(SEARCH.replace("d/total", "d/totle"))
    status, out, _ = searched("--search=9")
    assert status == 1 and len(searched.starts()) == 1  # the others would have none either
    assert "has a number 'd/totle'; there are: d/total" in searched.points()[TRIAL]["error"]
    assert "no trial has been finished" in out


def test_the_metric_is_that_of_the_evaluation_that_was_asked_for(searched, monkeypatch):
    """Not of another with the same name."""
    script = searched.folder / "evaluate.py"
    script.write_text("""
import sys
from t2i_jax.evaluation import results
for num in (1000, 7):
    record = results.Record(protocol="tsne", step=4, values={"x": num},
                            conditions={"run": {"options": {"num": num}}})
    results.append(sys.argv[1].partition("=")[2] + "/evaluation", record)
""")
    monkeypatch.setattr(points, "EVALUATE", (sys.executable, str(script)))
    searched.write(SEARCH.replace("d/total", "tsne/x"))
    assert searched("--search=1", "--eval=--protocol=tsne")[0] == 0
    assert searched.points()[TRIAL]["value"] == 1000


def test_a_range_of_fractions_on_a_field_of_whole_numbers(searched):
    searched.write(SEARCH.replace("whole(4, 16)", "uniform(4, 16)"))
    status, _, err = searched("--search=1")
    assert (
        status == 2 and "'generator.channels' takes a whole number" in err and not searched.starts()
    )


def test_ranges_are_of_plain_numbers():
    assert choice(np.int64(1), np.float32(0.5)).values == (1, 0.5)
    assert type(choice(np.int64(1), 2).values[0]) is int
    assert type(whole(np.int64(1), 2).low) is int


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 5", "returns no dict of ranges"),
        ("return {'seed': 1}", "sets 'seed', which the search itself does"),
        ("return {'config.seed': 1}", "sets 'seed', which the search itself does"),
        ("return {'direction': 'minimize', 'a': uniform(0, 1)}", "names no 'metric'"),
        ("return {'metric': 'x', 'a': uniform(0, 1)}", "direction must be one of 'minimize'"),
        ("return {'metric': 'x', 'direction': 'minimize'}", "gives no range"),
        ("return {'metric': 'x', 'direction': 'minimize', 'a': {}}", "{} is no value of a field"),
        ("return {'a': uniform(1, 0)}", "s.py, line 4: a range from 1 to 0 is empty"),
        ("return {'a': log_uniform(0, 1)}", "begins above 0"),
        ("return {'a': uniform(0, float('inf'))}", "two finite"),
        ("return {'a': whole(0.5, 2)}", "two finite, or whole"),
        ("return {'a': uniform('0', 1)}", "'0': a range is between two numbers"),
        ("return {'a': choice(1, '1')}", "two different values or more"),
        ("return {'a': choice()}", "two different values or more"),
    ],
)
def test_a_search_that_is_none_is_one_line(tmp_path, body, message):
    head = "from t2i_jax.sweeps.ranges import *\n"
    (tmp_path / "s.py").write_text(f"{head}\ndef search():\n    {body}\n")
    with pytest.raises(ValueError, match=message) as error:
        spaces.load(str(tmp_path / "s.py"))
    assert "\n" not in str(error.value)


def test_every_bound_and_choice_is_checked_before(searched):
    searched.write(SEARCH.replace("whole(4, 16)", "choice(4, 'wide')"))
    status, _, err = searched("--search=3")
    assert (
        status == 2 and "'generator.channels' takes a whole number" in err and not searched.starts()
    )
    ranges = {"a": uniform(0, 1), "b": choice(1, 2, 3), "c": whole(5, 6), "d": log_uniform(1, 2)}
    space = spaces.Space(ranges, {"e": 9}, "m", "minimize")
    found = [tuple(entry.overrides[x] for x in "abcde") for entry in space.corners()]
    assert found == [(0, 1, 5, 1, 9), (1, 2, 6, 2, 9), (1, 3, 6, 2, 9)]


@pytest.mark.parametrize("more", [["--seeds=2"], ["--only=a"], ["--workdir=gs://b/x"]])
def test_what_a_search_does_not_take(searched, more):
    assert searched("--search=2", *more)[0] == 2 and not searched.starts()
