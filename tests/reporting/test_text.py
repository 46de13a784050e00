"""The Markdown and the CSV table."""

import csv
import io
import json

import pytest

from t2i_jax.reporting import table, tables, text
from t2i_jax.reporting.gather import gather

from .fake_sweeps import fids, record, run, start


def test_a_row_a_run_with_all_digits(tmp_path):
    third = 1 / 3
    for seed in (0, 1):
        run(
            tmp_path / f"seed{seed}" / 'a,"b"',
            {"seed": seed, "loss": {"g": {"fake": 1.0}}},
            [record("fid", 100, {"fid": third + seed}, lower_is_better=["fid"])],
            starts=[start(0, 100, 0.5)],
        )
    run(tmp_path / "seed0" / "plain", {"loss": {"g": {"fake": 2.0}}}, rows=[{"step": 7}])
    sweep = gather([str(tmp_path)])
    rows = text.rows(sweep, table.columns(sweep))
    first, second, third_row = csv.DictReader(io.StringIO(text.table_csv(rows)))
    assert [r["point"] for r in (first, second, third_row)] == ['a,"b"', 'a,"b"', "plain"]
    assert [r["seed"] for r in (first, second)] == ["0", "1"]
    assert float(first["fid: fid ↓"]) == third and float(second["fid: fid ↓"]) == third + 1
    assert first["fid: fid ↓ at step"] == "100" and first["loss.g.fake"] == "1.0"
    assert float(first["device_hours"]) == 1.0 and first["steps"] == "100"
    assert third_row["fid: fid ↓"] == "" and third_row["steps"] == "7"


def test_of_many_overrides_some_are_in_the_markdown_and_all_in_the_csv(tmp_path):
    for name, first in (("a", 0), ("b", 10)):
        run(tmp_path / name, {"system": name, **{f"f{i}": first + i for i in range(8)}})
    sweep = gather([str(tmp_path)])
    row = text.markdown(sweep, []).splitlines()[4]
    expected = "system=a, f0=0, f1=1, f2=2, f3=3, f4=4, and 3 more, see report.csv"
    assert row == f"| a | {expected} | 1 |"
    rows = text.rows(sweep, [])
    assert [rows[1][f"f{i}"] for i in range(8)] == [str(10 + i) for i in range(8)]


def test_unfinished_runs_are_told_of_once_a_point(tmp_path):
    for seed, end in ((0, 2500), (1, 650)):
        found = [record("fid", end, {"fid": 1.0 + seed})]
        run(tmp_path / f"seed{seed}" / "gan", {}, found, starts=[start(0, end, 0.5)])
    plan = [
        {"name": "gan", "seed": 0, "status": "done", "steps": 2500, "total": 2500},
        {"name": "gan", "seed": 1, "status": "running", "steps": 650, "total": 2500},
    ] + [
        {"name": "cls", "seed": seed, "status": "failed", "error": f"x/seed{seed}/cls.log: NaN"}
        for seed in (0, 1)
    ]
    (tmp_path / "sweep.json").write_text(json.dumps({"points": plan}))
    sweep = gather([str(tmp_path)])
    columns = table.columns(sweep)
    lines = text.markdown(sweep, columns).splitlines()
    seeds = "2; seed 1: running at step 650 of 2,500"
    assert lines[4] == f"| gan |  | {seeds} | 1.500 ± 0.707 |"
    assert lines[5] == r"| cls |  | 2; seeds 0, 1: failed: x/seed\*/cls.log: NaN | failed |"
    cost = "2, 1 not done | 650 to 2,500 | 30.0 min | 1.00 h"
    assert f"| gan | {cost} | 2 x cpu |" in lines
    html = tables.results(sweep, columns, lambda _: "")
    assert "seed 1: running at step 650 of 2,500" in html
    assert html.count("x/seed*/cls.log: NaN") == 1
    assert "2, 1 not done" in tables.costs(sweep) and "650 to 2,500" in tables.costs(sweep)


def test_pandas_reads_the_csv(tmp_path):
    pandas = pytest.importorskip("pandas")
    sweep = gather([str(fids(tmp_path, {"a": [1.0, 2.0], "b": [0.1 + 0.2]}))])
    found = pandas.read_csv(io.StringIO(text.table_csv(text.rows(sweep, table.columns(sweep)))))
    assert found["fid2k: fid ↓"].tolist() == [1.0, 2.0, 0.1 + 0.2]


def test_markdown_shows_names_as_they_are(tmp_path):
    fids(tmp_path, {"a|b*<i>_x_y_": [1.0, 1.2], "worse": [3.0, 3.1]})
    plan = [
        {"name": name, "seed": seed, "overrides": {"x": name}}
        for name in ("a|b*<i>_x_y_", "worse")
        for seed in (0, 1)
    ]
    (tmp_path / "sweep.json").write_text(json.dumps({"points": plan}))
    sweep = gather([str(tmp_path)])
    lines = text.markdown(sweep, table.columns(sweep)).splitlines()
    head, marks, best, worse = lines[2:6]
    assert head == "| point | overrides | seeds | fid2k: fid ↓ |"
    assert marks == "| --- | --- | ---: | ---: |"
    name = r"a\|b\*\<i\>\_x_y\_"
    assert best == f"| {name} | x={name} | 2 | **1.100 ± 0.141** |"
    assert worse == "| worse | x=worse | 2 | 3.050 ± 0.071 |"
    assert table.RULE in lines
    assert "| worse | 0 | not written down | not written down | not written down |  |" in lines
