"""The lines of metrics.jsonl, over kills and repeats."""

import json
import math
import sys

import pytest

from t2i_jax.training.metrics_writer import MetricsWriter, read_rows


def rows(path):
    found, damaged = read_rows(path / "metrics.jsonl")
    assert not damaged
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [
        {**row, "crc32": line["crc32"]} for row, line in zip(found, lines, strict=True)
    ] == lines
    return found


def test_what_is_repeated_is_dropped(tmp_path):
    """A resumed run begins after its checkpoint; a line that a kill cut short goes too."""
    writer = MetricsWriter(tmp_path, start=0)
    for step in (2, 4, 6):
        writer.scalars(step, {"a": step / 2})
    writer.close()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 8, "a"')
    writer = MetricsWriter(tmp_path, start=4)
    writer.scalars(6, {"a": 7.0})
    assert rows(tmp_path) == [  # at once: a kill loses no line
        {"step": 2, "a": 1.0},
        {"step": 4, "a": 2.0},
        {"step": 6, "a": 7.0},
    ]
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


@pytest.fixture
def logged(tmp_path):
    writer = MetricsWriter(tmp_path, start=0)
    for step in range(1, 5):
        writer.scalars(step, {"g/total": step / 3, "d/total": math.nan})
    writer.close()
    return tmp_path / "metrics.jsonl"


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_every_flipped_bit_loses_its_line_or_changes_nothing(logged, bit):
    """Nothing: 1.3333333333333332 is the same number. That of a line feed loses two lines; the last
    one's makes its line one that a kill cut short.
    """
    good, _ = read_rows(logged)
    data = logged.read_bytes()
    ends = [i for i, byte in enumerate(data) if byte == ord("\n")]
    harmless = 0
    for i in range(len(data)):
        logged.write_bytes(data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :])
        found, damaged = read_rows(logged)
        if found == good:
            harmless += 1
            continue
        line = sum(end < i for end in ends)
        lost = {line, line + 1} if i in ends else {line}
        assert found == [row for n, row in enumerate(good) if n not in lost]
        assert damaged == ([] if i == ends[-1] else [line + 1])
    assert harmless < 8


@pytest.mark.parametrize(
    "bad", [b"", b"\0\0\0\0", b"\xff\xfe{", b"[1, 2]", b'{"a": 1}', b'{"step": 2, "a": "x"}']
)
def test_damaged_lines_are_left_out_and_told(logged, bad):
    first, second, *rest = logged.read_bytes().splitlines(True)
    logged.write_bytes(b"".join([first, bad + b"\n", *rest]))
    writer = MetricsWriter(logged.parent, start=3)
    writer.close()
    assert writer.damaged == ([2] if bad else [])
    assert [row["step"] for row in rows(logged.parent)] == [1, 3]


@pytest.mark.parametrize("kept, last", [(0, 0), (1, 1), (2, 2), (3, 3)])
def test_what_a_run_has_lost_of_its_lines_is_known(logged, kept, last):
    lines = logged.read_bytes().splitlines(True)
    logged.write_bytes(b"".join(lines[:kept]) + lines[kept][:5] if kept < 3 else b"".join(lines))
    writer = MetricsWriter(logged.parent, start=3)
    writer.close()
    assert (writer.last, writer.damaged) == (last, [])


def test_lines_of_older_runs_have_no_checksum(logged):
    logged.write_text('{"step": 1, "a": 0.5}\n{"step": 2, "a": null}\n')
    MetricsWriter(logged.parent, start=2).close()
    assert rows(logged.parent) == [{"step": 1, "a": 0.5}, {"step": 2, "a": None}]


def test_json_has_no_nan(tmp_path):
    writer = MetricsWriter(tmp_path, start=0)
    writer.scalars(1, {"a": math.nan, "b": -math.inf, "c": 0.1})
    writer.close()
    assert rows(tmp_path) == [{"step": 1, "a": None, "b": None, "c": 0.1}]


@pytest.mark.parametrize(
    "module, fields", [("tensorboardX", {"tensorboard": True}), ("wandb", {"wandb": "x"})]
)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, module, fields):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 't2i_jax\[(tensorboard|wandb)\]'"):
        MetricsWriter(tmp_path, start=0, **fields)
