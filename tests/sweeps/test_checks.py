"""What is wrong is told before anything is trained: all of it, one line each."""

import json
import pathlib
import re
import sys

import pytest

from t2i_jax.sweeps import checks, points
from t2i_jax.sweeps.entries import Entry

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_every_error_of_every_point(place):
    place.write(
        """
def sweep():
    yield {"name": "misspelt", "loss.g.interpp": 1.0}
    yield {"name": "text", "generator.channels": "many"}
    yield {"name": "range", "optim.g.lr": -1.0, "d_steps": 0}
    yield {"name": "long", "train.duration": "soon"}
    yield {"name": "none", "train.duration": "1 images"}
    yield {"name": "batch", "data.batch": 4096}
    yield {"name": "config", "config": "configs/gan_int_clss.py"}
    yield {"name": "argument", "config": "%s:cubs"}
    yield {"name": "elsewhere", "encoder.source": "runs/nowhere"}
    yield {"name": "good"}
    yield {"name": "needs", "frozen.damsm": "{workdir}/godo"}
"""
        % (ROOT / "configs/gan_int_cls.py")
    )
    status, out, err = place()
    assert status == 2 and not place.starts() and not (place.runs / "sweep.json").exists()
    lines = err.removeprefix("error: ").splitlines()
    told = {line.partition(": ")[0].removeprefix("seed0/"): line for line in lines}
    expected = {
        "misspelt": "unknown config field 'loss.g.interpp'.*did you mean 'interp'",
        "text": "'generator.channels' takes a whole number .*, not 'many'",
        "long": "train.duration=soon: must be a duration",
        "none": "less than one step",
        "batch": "data.batch=4,096: .* has only 32 records",
        "config": "no config file",
        "argument": "cubs",
        "elsewhere": "encoder.source.*runs/nowhere",
        "needs": "it needs .*seed0/godo, which no entry trains",
    }
    for name, message in expected.items():
        assert re.search(message, told[name]), told.get(name)
    ranged = " ".join(line for line in lines if line.startswith("seed0/range"))
    assert "optim.g.lr=-1.0: must be" in ranged and "d_steps=0: must be" in ranged
    assert len(lines) == len(expected) + 2


def test_an_error_of_all_points_is_told_once(place):
    status, _, err = place("--loss.g.nothing=1", "--seeds=3")
    assert status == 2 and err.count("unknown config field") == 1
    assert err.startswith("error: all 9 points: ")
    place.options[0] = f"--data.data_dir={place.folder}"
    status, _, err = place()
    assert status == 2 and "all 3 points" in err and "t2i_jax.prepare" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--seeds=x"], "--seeds=x: write how many"),
        (["--seed=3"], "--seed=3: seeds are given by --seeds"),
        (["--jobs=0"], "jobs=0: must be a whole number"),
        (["--index=3"], "--index=3: the points of .*sweep.py are 0 to 2"),
        (["--index=-1"], "--index=-1: the points"),
        (["--index=0", "--print"], "--index and --print cannot be combined"),
        (["--only=hal"], "--only=hal: .*did you mean 'half'"),
        (["--eval=--num=5"], "--eval='--num=5': .*required: --protocol"),
        (["--eval=--protocol=tsne --workdir=b"], "leave out --workdir"),
        (["--eval=--protocol=tsna"], "--eval='--protocol=tsna': .*did you mean 'tsne'"),
        (["--eval=--protocol=fid2k --num=5"], "--num is not for --protocol=fid2k"),
        (["--eval=--protocol=tsne --num=0"], "--eval=.*num=0: must be"),
        (["--eval=--protocol='a"], "--eval=.*No closing quotation"),
        (["--train_command=no_such_program x"], "there is no such program"),
        (["--train_command="], "there is no such program"),
        (["--d_steps", "2"], "cannot read the override"),
        (["--workdir=hf://x/y"], "checkpoints are kept in local folders"),
        (["--sweep=none.py"], "no grid file 'none.py'"),
    ],
)
def test_wrong_options(place, more, message):
    status, out, err = place(*more)
    assert status == 2 and not place.starts() and re.search(message, err)


def test_a_sweep_file_that_raises(place):
    place.write("def sweep():\n    return 1 / 0\n")
    status, _, err = place()
    assert status == 2 and err.count("\n") == 1
    assert "sweep.py, line 2: ZeroDivisionError: division by zero" in err


def test_without_optuna_there_is_no_search(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    place.write("""
from t2i_jax.sweeps.ranges import uniform

def search():
    return {"loss.g.interp": uniform(0, 1), "metric": "d/total", "direction": "minimize"}
""")
    status, _, err = place("--search=2")
    assert status == 2 and err.count("\n") == 1 and "pip install 't2i_jax[search]'" in err


def test_a_place_that_cannot_be_written(place):
    place.runs.write_text("a file")
    status, _, err = place()
    assert status == 2 and str(place.runs) in err and err.count("\n") == 1


def test_an_option_that_points_set_anew_is_told(place):
    status, _, err = place("--loss.g.interp=3.0")
    assert status == 0 and err.startswith("note: --loss.g.interp=3.0 does not hold for none, half")
    assert [start["loss"]["g"]["interp"] for start in place.starts()] == [0.0, 0.5, 1.0]


def test_a_run_of_another_config_is_not_taken_for_the_point(place):
    assert place()[0] == 0
    place.write(place.file.read_text().replace("0.5", "0.75"))
    status, _, err = place()
    assert status == 2 and err.count("\n") == 1
    assert "seed0/half: it was trained with another config (loss.g.interp: saved 0.5" in err
    place.write(place.file.read_text().replace("0.75", "0.5"))
    status, _, err = place("--generator.channels=32")
    assert status == 2 and "all 3 points" in err and "generator.channels: saved" in err
    status, _, err = place("--optim.g.lr=1e-3")  # with which a run could go on
    assert status == 2 and "all 3 points: it was trained with another config (optim.g.lr" in err
    status, _, err = place("--train.duration=3 steps")
    assert status == 2 and "was trained for 4 steps, longer than the 3 that are asked for" in err
    assert place("--train.log_every=2 steps", "--data.threads=2")[0] == 0
    other = place.folder / "other.py"
    other.write_text(place.file.read_text())
    status, _, err = place(f"--sweep={other}")
    assert status == 2 and "holds the sweep of --sweep=" in err
    assert len(place.starts()) == 3


def test_a_run_keeps_its_numbers_and_lists_in_the_file(place):
    """Overrides of sweep.json are those of the sweep file."""
    place.write(
        "def sweep():\n    yield {'name': 'a', 'recipe.augment': ('color',), 'd_steps': 1}\n"
    )
    assert place("--print")[0] == 0
    overrides = place.points()["seed0/a"]["overrides"]
    assert overrides == json.loads(json.dumps({"recipe.augment": ["color"], "d_steps": 1}))


def test_epochs_are_counted_with_the_data(place, tmp_path):
    options = (*place.options[:2], "--data.batch=5", "--train.duration=2 epochs")
    sweep = points.Sweep(place.config, "s.py", tmp_path, options)
    made = [sweep.point(Entry(f"d{n}", {"d_steps": n}), 0) for n in (1, 2)]
    assert list(checks.check(sweep, made).values()) == [13, 6]  # 64 images in batches of 5, of 10


def test_runs_that_need_each_other(place):
    place.write("""
def sweep():
    yield {"name": "a", "frozen.damsm": "{workdir}/b"}
    yield {"name": "b", "frozen.damsm": "{workdir}/a"}
""")
    status, _, err = place()
    assert status == 2 and "seed0/a and others need each other's runs" in err
