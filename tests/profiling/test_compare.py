"""Steps in turns, and the trace of a step."""

import json

import pytest
from test_benchmark import gan, net

from t2i_jax import config as configs
from t2i_jax.commands import benchmark
from t2i_jax.profiling import compare, compare_table, step_time


def test_turns_alternate_and_ratios_are_paired(monkeypatch):
    order = []

    class Still:
        parameters, compile_seconds, flops = {"net": 1}, 1.0, 1.0
        compiled = step_time.Compiled(None, None, None)

        def __init__(self, name):
            self.name = name

        def warm_up(self):
            order.append(f"warm {self.name}")

        def run(self):
            order.append(self.name)
            drift = 1 + len(order)  # a machine that becomes slower
            return drift * {"a": 1.0, "b": 2.0}[self.name], 1.0

    works = {"a": net(), "b": gan()}
    names = {id(work): name for name, work in works.items()}
    monkeypatch.setattr(compare, "prepare", lambda work: Still(names[id(work)]))
    a, b = compare.in_turns(list(works.values()), rounds=4)
    assert "".join(order[2:]) == "abbaabba" and order[:2] == ["warm a", "warm b"]
    assert a.seconds == (4, 7, 8, 11) and b.seconds == (10, 12, 18, 20)
    low, median, high = compare.ratio(b.seconds, a.seconds)
    ratios = sorted((10 / 4, 12 / 7, 18 / 8, 20 / 11))
    assert median == pytest.approx((ratios[1] + ratios[2]) / 2)
    assert ratios[0] < low < median < high < ratios[3]


@pytest.mark.parametrize(
    ("text", "config", "found"),
    [
        ("", ["df_gan:cub"], ("df_gan:cub", [])),
        (
            "dtype=bfloat16 d_steps=2",
            ["df_gan:cub"],
            ("df_gan:cub", ["dtype=bfloat16", "d_steps=2"]),
        ),
        ("rat_gan:cub", [], ("rat_gan:cub", [])),
        ("rat_gan:cub seed=1", ["df_gan:cub"], ("rat_gan:cub", ["seed=1"])),
        ("'my gan.py:cub' tokenizer.path='a b'", [], ("my gan.py:cub", ["tokenizer.path=a b"])),
    ],
)
def test_sides(text, config, found):
    assert compare_table.side(text, config) == found


def test_from_the_command_line(monkeypatch, tmp_path, capsys):
    made = []

    def workload(config):
        made.append((config.optim.net.lr, config.seed))
        return net()

    monkeypatch.setattr(step_time, "make_workload", workload)
    out = tmp_path / "numbers.json"
    argv = ["--config=toy_attributes:debug", "--compare", "", "optim.net.lr=0.5", "--seed=3"]
    benchmark.main([*argv, "--steps=3", f"--out={out}"])
    lr = configs.load("toy_attributes:debug").optim.net.lr
    assert made == [(lr, 3), (0.5, 3)]
    first, second = json.loads(out.read_text())
    assert first["ratio"] == [1, 1, 1] and second["flops_ratio"] == 1
    assert len(second["seconds"]) == len(second["cpu_seconds"]) == 3
    low, median, high = second["ratio"]
    assert low <= median <= high
    shown = capsys.readouterr().out
    assert "as it is" in shown and "optim.net.lr=0.5" in shown and "1.000 [1.000, 1.000]" in shown


def test_a_trace_of_a_few_steps(tmp_path):
    """In the form that XProf reads: plugins/profile/<time>/<host>.xplane.pb."""
    step_time.measure_step(net(), steps=1, profile=str(tmp_path))
    traces = list(tmp_path.glob("plugins/profile/*/*.xplane.pb"))
    assert len(traces) == 1 and traces[0].stat().st_size > 1000
    assert list(tmp_path.glob("plugins/profile/*/*.trace.json.gz"))
