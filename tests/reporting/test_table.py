"""The numbers of the table, against those worked out by hand."""

import json

import pytest

from t2i_jax.reporting import cost, table, tables, text
from t2i_jax.reporting.gather import gather

from .fake_sweeps import cells_of, fids, record, run, start


def test_means_and_deviations_over_seeds(tmp_path):
    # Of 10, 12, 14: mean 12, deviation sqrt((4 + 0 + 4) / 2) = 2. Of 100, 104: 102, sqrt(8).
    fids(tmp_path, {"three": [10, 12, 14], "two": [100, 104], "one": [7]})
    assert cells_of(gather([str(tmp_path)])) == {
        "fid2k: fid ↓": {"one": "7.0", "three": "12.0 ± 2.0", "two": "102.0 ± 2.8"}
    }


def test_of_a_run_the_latest_checkpoint_and_then_the_latest_record(tmp_path):
    records = [
        record("fid2k", 100, {"fid": 9.0}),
        record("fid2k", 200, {"fid": 5.0}),
        record("fid2k", 200, {"fid": 6.0}),
        record("fid2k", 150, {"fid": 1.0}),
        record("folder", None, {"fid": 3.0}),
        record("folder", None, {"fid": 4.0}),
    ]
    run(tmp_path / "gan", records=records)
    run(tmp_path / "cls", records=[record("fid2k", 300, {"fid": 2.0})])
    sweep = gather([str(tmp_path)])
    assert cells_of(sweep) == {
        "fid2k: fid ↑": {"gan": "6.000", "cls": "2.000"},
        "folder: fid ↑": {"gan": "4.000", "cls": "not evaluated"},
    }
    columns = table.columns(sweep)
    assert columns[0].steps == [200, 300]
    (remark,) = table.remarks(columns)
    assert "different steps (200, 300)" in remark


def test_other_conditions_have_columns_of_their_own(tmp_path):
    def conditions(n, digest, jax="0.10.2"):
        packages = {"jax": jax}
        return {
            "n": n,
            "extractor": {"name": "x", "digest": digest},
            "packages": packages,
            "run": {"workdir": str(tmp_path)},
        }

    for name, given in {
        "a": conditions(2000, "ab"),
        "b": conditions(2000, "cd"),
        "c": conditions(5000, "ab"),
        "d": conditions(2000, "ab", jax="0.11"),
    }.items():
        run(tmp_path / name, records=[record("fid", 1, {"fid": 2.0}, conditions=given)])
    run(tmp_path / "e", records=[record("kid", 1, {"fid": 2.0}, conditions=conditions(2000, "ab"))])
    sweep = gather([str(tmp_path)])
    shown = cells_of(sweep)
    first = "fid: fid [extractor.digest=ab, n=2000] ↑"
    assert list(shown) == [
        first,
        "fid: fid [extractor.digest=cd, n=2000] ↑",
        "fid: fid [extractor.digest=ab, n=5000] ↑",
        "kid: fid ↑",
    ]
    other = "not evaluated under these conditions"
    assert shown[first] == {
        "a": "2.000",
        "b": other,
        "c": other,
        "d": "2.000",
        "e": "not evaluated",
    }
    (remark,) = table.remarks(table.columns(sweep))
    assert '{"jax": "0.10.2"} and {"jax": "0.11"}' in remark and remark.startswith(first)


@pytest.mark.parametrize(
    "numbers, lower, winner",
    [
        ({"a": [1, 3], "b": [6, 8]}, True, "a"),  # 2 ± 1.41 and 7 ± 1.41 lie apart
        ({"a": [1, 3], "b": [6, 8]}, False, "b"),
        ({"a": [1, 3], "b": [3, 5]}, True, None),  # 2 ± 1.41 and 4 ± 1.41 do not
        ({"a": [2, 2], "b": [4, 4]}, True, "a"),
        ({"a": [2, 2], "b": [2, 2]}, True, None),
        ({"a": [1, 3], "b": [6, 8], "c": [0, 40]}, True, None),  # 20 ± 28 reaches below 2
        ({"a": [1, 3], "b": [90]}, True, None),  # nobody knows how far b reaches
        ({"a": [1], "b": [90]}, True, None),
        ({"a": [1, 3]}, True, None),
        ({"a": [-3, -1], "b": [6, 8]}, True, "a"),
        ({"a": [1, 3], "b": [6, 8], "c": []}, True, "a"),  # c has no number
        ({"a": [1, 3], "b": [6, 8], "c": [None, None]}, True, "a"),
        ({"a": [1, 3], "b": [6, 8], "c": [90, None]}, True, None),
    ],
)
def test_bold_is_what_lies_apart(tmp_path, numbers, lower, winner):
    fids(tmp_path, numbers)
    sweep = gather([str(tmp_path)])
    (column,) = table.columns(sweep)
    assert table.best(table.cells(sweep, column), lower) == winner


@pytest.mark.parametrize("spread, winner", [(0.4, "b"), (0.6, None), (None, "b")])
def test_bold_lies_apart_by_more_than_the_deviation_of_an_evaluation(tmp_path, spread, winner):
    # Equal numbers of two seeds: their deviation of 0 says nothing of an evaluation's own.
    for point, value in (("a", 1.0), ("b", 1.5)):
        for seed in (0, 1):
            spreads = {} if spread is None else {"score": spread}
            found = [record("is", 1, {"score": value}, spreads=spreads)]
            run(tmp_path / f"seed{seed}" / point, {"seed": seed}, found)
    sweep = gather([str(tmp_path)])
    (column,) = table.columns(sweep)
    assert table.best(table.cells(sweep, column), lower_is_better=False) == winner


def test_missing_numbers_say_why(tmp_path):
    fids(tmp_path, {"gan": [1.0, 3.0, 5.0]})
    run(tmp_path / "seed0" / "none", records=[record("fid2k", 1, {"fid": None})])
    run(tmp_path / "seed0" / "never")
    names = ("gan", "none", "never", "stopped")
    plan = [{"name": n, "seed": 0, "status": "done", "overrides": {}} for n in names]
    plan[3] |= {"status": "failed", "error": "out of memory"}
    plan += [{"name": "gan", "seed": 7, "status": "failed", "error": "NaN", "overrides": {}}]
    (tmp_path / "sweep.json").write_text(json.dumps({"points": plan}))
    sweep = gather([str(tmp_path)])
    assert cells_of(sweep)["fid2k: fid ↓"] == {
        "gan": "3.000 ± 2.000 (3 of 4)",
        "none": "no meaning here",
        "never": "not evaluated",
        "stopped": "failed",
    }
    (column,) = table.columns(sweep)
    lines = list(table.details(table.cells(sweep, column)["gan"]))
    assert lines[1] == "seed 1: 3, step 100" and lines[-1] == "seed 7: failed"


@pytest.mark.parametrize(
    "mean, written",
    [
        (123.4, "123.4"),
        (12345.0, "12345"),
        (4.36, "4.360"),
        (0.0123, "0.01230"),
        (0.001, "0.001000"),
        (4e-7, "4.000e-07"),
        (-2e-4, "-2.000e-04"),
        (0.0, "0"),
    ],
)
def test_four_digits(tmp_path, mean, written):
    fids(tmp_path, {"a": [mean], "b": [mean / 1e3]})
    sweep = gather([str(tmp_path)])
    assert cells_of(sweep)["fid2k: fid ↓"]["a"] == written


def test_costs_are_means_over_the_runs_that_know(tmp_path):
    run(tmp_path / "seed0" / "gan", starts=[start(0, 100, 0.25), start(100, 300, 0.75)])
    run(tmp_path / "seed1" / "gan", starts=[start(0, 200, 3.0, devices="2 x gpu")])
    run(tmp_path / "seed2" / "gan")
    run(tmp_path / "seed0" / "old")
    costs = cost.costs(gather([str(tmp_path)]))
    assert costs["old"] is None
    found = costs["gan"]
    assert (found.counted, found.span) == ("2 of 3", "200 to 300")
    assert (found.runs, found.known_of, found.steps, found.images) == (2, 3, (200, 300), 1000)
    assert (found.hours, found.device_hours, found.total) == (2.0, 4.0, 8.0)
    assert found.machine == "2 x cpu; 2 x gpu" and found.code == "c0ffee"
    assert [cost.duration(h) for h in (0.5, 2.0)] == ["30.0 min", "2.00 h"]


def test_real_images_are_no_column_of_their_own(tmp_path):
    for seed, real in ((0, 1.0), (1, 3.0)):
        values = {"fid": 20.0 + seed, "fid_of_real": real}
        run(tmp_path / f"seed{seed}" / "a", records=[record("fid2k", 1, values)])
    sweep = gather([str(tmp_path)])
    (column,) = table.columns(sweep)
    assert column.name == "fid" and column.real == 2.0
    assert "| real images |  |  | 2.00 |" in text.markdown(sweep, [column])


def test_tiny_numbers_are_written_alike_everywhere(tmp_path):
    for seed, value in enumerate((4e-7, 6e-7)):
        values = {"share": value, "share_of_real": 3e-4}
        run(tmp_path / f"seed{seed}" / "a", records=[record("rare", 1, values)])
    sweep = gather([str(tmp_path)])
    columns = table.columns(sweep)
    markdown = text.markdown(sweep, columns)
    assert "| a |  | 2 | 5.000e-07 ± 1.414e-07 |" in markdown
    assert "| real images |  |  | 3.000e-04 |" in markdown
    html = tables.results(sweep, columns, lambda _: "")
    assert "5.000e-07 ± 1.414e-07" in html and "real images 3.000e-04" in html
    assert [row["rare: share ↑"] for row in text.rows(sweep, columns)] == [4e-7, 6e-7]
