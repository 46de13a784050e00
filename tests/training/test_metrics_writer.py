"""The lines of metrics.jsonl, over kills and repeats."""

import json
import math
import sys

import pytest

from t2i_jax.training.metrics_writer import MetricsWriter


def rows(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


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
