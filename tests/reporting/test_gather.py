"""Which runs a report finds, and what it says of those that it cannot read."""

import json
import shutil

import pytest

from t2i_jax.reporting.gather import gather
from t2i_jax.reporting.overrides import differing

from .fake_sweeps import fids, record, run, start


def keys(*folders) -> list[tuple[str, str]]:
    return [one.key for one in gather([str(f) for f in folders]).runs]


def test_layouts_of_a_sweep(tmp_path):
    for seed in (0, 1, 10, 2):
        run(tmp_path / "a" / f"seed{seed}" / "gan", {"seed": 7})
    assert keys(tmp_path / "a") == [("gan", "0"), ("gan", "1"), ("gan", "2"), ("gan", "10")]
    run(tmp_path / "b" / "gan", {"seed": 3})
    run(tmp_path / "b" / "cls", {"seed": 3})
    (tmp_path / "b" / "no_run").mkdir()
    assert keys(tmp_path / "b") == [("cls", "3"), ("gan", "3")]
    assert keys(tmp_path / "b" / "gan", tmp_path / "b" / "cls") == [("gan", "3"), ("cls", "3")]
    given = (tmp_path / "a" / "seed1" / "gan", tmp_path / "a" / "seed0" / "gan")
    assert keys(*given) == [("gan", "0"), ("gan", "1")], "seeds of one point"


def test_runs_of_one_name_and_seed_are_told_apart(tmp_path):
    for name in ("a", "b"):
        run(tmp_path / name / "gan")
    a, b = tmp_path / "a", tmp_path / "b"
    assert keys(a, b, a) == [(f"{a}/gan", "0"), (f"{b}/gan", "0")]
    assert keys(a / "gan", b / "gan") == [(f"{a}/gan", "0"), (f"{b}/gan", "0")]


def test_points_of_which_there_is_no_run(tmp_path):
    run(tmp_path / "seed0" / "gan", {"loss": {"d": {"wrong": 0.0}}})
    run(tmp_path / "seed0" / "broken")
    lines = "error: loss.d.total\nis not finite"
    plan = [
        {"name": "gan", "seed": 0, "status": "done", "overrides": {"loss.d.wrong": 0.0, "x": 1}},
        {"name": "broken", "seed": 0, "status": "failed", "error": lines, "overrides": {"x": 1}},
        {"name": "later", "seed": 0, "status": "pending", "overrides": {"x": 1, "y": "<b>"}},
        {"name": "lost", "seed": 0, "status": "done", "overrides": {"x": 1}},
    ]
    (tmp_path / "sweep.json").write_text(json.dumps({"points": plan}))
    sweep = gather([str(tmp_path)])
    assert sweep.points == ("gan", "broken", "later", "lost"), "the order of the sweep"
    assert [one.state for one in sweep.runs] == [
        "",
        "failed: error: loss.d.total is not finite",
        "pending",
        "its run directory is missing",
    ]
    assert differing(sweep) == {
        "gan": {"loss.d.wrong": "0.0"},
        "broken": {},
        "later": {"y": "<b>"},
        "lost": {},
    }


def test_points_of_other_config_files(tmp_path):
    plan = [
        {"name": "one", "seed": 0, "config": "a.py:cub", "overrides": {}},
        {"name": "two", "seed": 0, "config": "b.py:cub", "overrides": {"x": None}},
    ]
    (tmp_path / "sweep.json").write_text(json.dumps({"points": plan}))
    found = differing(gather([str(tmp_path)]))
    assert found == {"one": {"config": "a.py:cub"}, "two": {"config": "b.py:cub", "x": "null"}}


def test_overrides_are_read_off_the_configs(tmp_path):
    for seed in (0, 1):
        for name, wrong in (("gan", 0.0), ("cls", 0.5)):
            config = {
                "seed": seed,
                "data": {"seed": seed, "size": 64},
                "loss": {"d": {"wrong": wrong}},
                "frozen": {"stage1": f"runs/seed{seed}/stage1"},
                **({"extra": [1, 2]} if name == "cls" else {}),
            }
            run(tmp_path / f"seed{seed}" / name, config)
    expected = {
        "gan": {"loss.d.wrong": "0.0"},
        "cls": {"loss.d.wrong": "0.5", "extra": "[1, 2]"},
    }
    assert differing(gather([str(tmp_path)])) == expected
    shutil.rmtree(tmp_path / "seed1" / "gan")
    shutil.rmtree(tmp_path / "seed0" / "cls")
    found = differing(gather([str(tmp_path)]))
    assert {p: v["loss.d.wrong"] for p, v in found.items()} == {"gan": "0.0", "cls": "0.5"}, (
        "without a seed in common"
    )


def test_damaged_files_are_named_and_left_out(tmp_path):
    fids(tmp_path, {"sound": [1.0], "flipped": [2.0], "half": [3.0]})
    (tmp_path / "seed0" / "flipped" / "config.json").write_text('{"system": "x", "crc32": "0"}')
    half = tmp_path / "seed0" / "half"
    odd = record("fid2k", 200, {"fid": [1, 2]})
    with (half / "evaluation" / "results.jsonl").open("a") as file:
        file.write(f'{json.dumps(odd)}\n{{"protocol": "fid2k", "st')
    (half / "metrics.jsonl").write_text('{"step": 1, "g/total": 2.0}\nnonsense\n{"step": 3}\n')
    (half / "provenance.json").write_text('{"starts": []}')
    lost = run(tmp_path / "seed0" / "lost", starts=[start(0, 1, 1.0)])
    (lost / "checkpoints" / "5" / "config").mkdir(parents=True)
    (lost / "config.json").rename(lost / "checkpoints" / "5" / "config" / "config.json")
    (tmp_path / "sweep.json").write_text('{"points": [{"nam')
    sweep = gather([str(tmp_path)])
    assert sweep.points == ("half", "sound")
    one = sweep.of("half")[0]
    assert [r.values for r in one.records] == [{"fid": 3.0}]
    assert [row["step"] for row in one.rows] == [1, 3] and one.cost is None
    notes = "\n".join(sweep.notes)
    for place in (
        "flipped/config.json is damaged",
        "half/evaluation/results.jsonl: damaged lines are left out: 3",
        "half/evaluation/results.jsonl: 1 records are left out",
        "half/metrics.jsonl: damaged lines are left out: 2",
        "half/provenance.json is left out",
        "lost/config.json is missing",
        "sweep.json is left out",
    ):
        assert place in notes, place
    assert len(sweep.notes) == 7


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_runs_is_refused(tmp_path, made):
    folder = tmp_path / "empty"
    if made:
        (folder / "seed0" / "gan").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no run is there" if made else "no such folder"):
        gather([str(folder)])
