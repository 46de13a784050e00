"""The lines of the curves."""

from t2i_jax.reporting.gather import gather

from .fake_sweeps import lines_of, record, run, start


def test_a_mean_over_the_steps_that_all_seeds_have(tmp_path):
    for seed, values in enumerate(([4.0, 2.0, None, 1.0, float("inf")], [6.0, 4.0, 3.0])):
        rows = [{"step": 10 * (i + 1), "g/total": v} for i, v in enumerate(values)]
        run(tmp_path / f"seed{seed}" / "gan", rows=rows)
    run(tmp_path / "seed0" / "cls", rows=[{"step": 5, "g/total": 7.0, "other": 1.0}])
    lines = lines_of(gather([str(tmp_path)]))
    assert list(lines) == ["g/total", "other"]
    assert lines["g/total"] == {
        ("cls", "0"): ([5], None, [7.0]),
        ("gan", "0"): ([10, 20, 40], None, [4.0, 2.0, 1.0]),
        ("gan", "1"): ([10, 20, 30], None, [6.0, 4.0, 3.0]),
        ("gan", None): ([10, 20], None, [5.0, 3.0]),
    }


def test_device_hours_by_the_pace_of_each_start(tmp_path):
    # Two devices: 1 and 4 device-hours for 100 steps each; then on at 0.04 a step.
    starts = [start(0, 100, 0.5), start(100, 200, 2.0)]
    rows = [{"step": s, "g/total": 1.0} for s in (50, 100, 150, 200, 250)]
    run(tmp_path / "seed0" / "gan", rows=rows, starts=starts)
    run(tmp_path / "seed1" / "gan", rows=rows, starts=[start(0, 250, 1.25)])
    run(tmp_path / "seed0" / "new", rows=rows[:1], starts=[start(0, 0, 0.1)])
    lines = lines_of(gather([str(tmp_path)]))["g/total"]
    assert lines["gan", "0"][1] == [0.5, 1.0, 3.0, 5.0, 7.0]
    assert lines["gan", "1"][1] == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert lines["gan", None][1] == [0.5, 1.0, 2.25, 3.5, 4.75]
    assert lines["new", "0"][1] is None, "no start has done a step"


def test_evaluations_of_several_steps_are_curves(tmp_path):
    few = {"n": 10}
    records = [
        record("fid", 200, {"fid": 3.0, "once": 1.0}, conditions=few),
        record("fid", 100, {"fid": 9.0}, conditions=few),
        record("fid", 100, {"fid": 8.0}, conditions=few),
        record("fid", 300, {"fid": 1.0}, conditions={"n": 20}),
        record("fid", None, {"fid": 1.0}, conditions=few),
    ]
    run(tmp_path / "gan", records=records)
    assert lines_of(gather([str(tmp_path)])) == {
        "fid: fid [n=10] ↑": {("gan", "0"): ([100, 200], None, [8.0, 3.0])}
    }


def test_long_lines_are_thinned_alike(tmp_path):
    for seed, length in enumerate((1000, 900)):
        rows = [{"step": s, "g/total": float(s)} for s in range(1, length + 1)]
        run(tmp_path / f"seed{seed}" / "gan", rows=rows)
    lines = lines_of(gather([str(tmp_path)]))["g/total"]
    assert all(len(steps) <= 300 for steps, _, _ in lines.values())
    steps, _, values = lines["gan", None]
    assert steps[:3] == [1, 5, 9] and steps == values and len(steps) == 225
