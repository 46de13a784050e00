"""Numbers of command lines out of their range: refused by the option's name before any work."""

import pytest

from t2i_jax.commands import benchmark, evaluate, prepare, sample

COMMANDS = {
    "sample": (sample.parse, ["--workdir=none", "--caption=a"]),
    "evaluate": (evaluate.parse, ["--protocol=tsne", "--workdir=none"]),
    "prepare": (prepare.parser().parse_args, ["--dataset=toy_birds", "--data_dir=none"]),
    "benchmark": (benchmark.parse, ["--what=data"]),
}
HUGE = "1000000000000000000000000000000"


@pytest.mark.parametrize(
    ("command", "option", "values"),
    [
        ("sample", "num", ["0", "-1", HUGE]),
        ("sample", "seed", ["-1", HUGE]),
        ("sample", "step", ["-1", HUGE]),
        ("sample", "batch_size", ["0", "-1", HUGE]),
        ("sample", "truncation", ["0", "-1", "nan", "inf", "1e30"]),
        ("evaluate", "num", ["0", "-1", HUGE]),
        ("evaluate", "seed", ["-1", HUGE]),
        ("evaluate", "step", ["-1", HUGE]),
        ("evaluate", "batch_size", ["0", "-1", HUGE]),
        ("prepare", "max_side", ["0", "-1", "7", HUGE]),
        ("prepare", "num_images", ["0", "-1", HUGE]),
        ("prepare", "size", ["0", "-1", HUGE]),
        ("prepare", "seed", ["-1", HUGE]),
        ("benchmark", "steps", ["0", "-1", HUGE]),
        ("benchmark", "repeats", ["0", "-1", HUGE]),
        ("benchmark", "seconds", ["0", "-1", "nan", "inf", "1e30"]),
        ("benchmark", "need", ["0", "-1", "nan", "inf"]),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(capsys, command, option, values):
    parse, rest = COMMANDS[command]
    for value in values:
        with pytest.raises(SystemExit) as stopped:
            parse([*rest, f"--{option}={value}"])
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert stopped.value.code == 2
        assert f"{option}=" in told and "must be" in told
    for text in ("", "many", "1.5.2"):
        with pytest.raises(SystemExit):
            parse([*rest, f"--{option}={text}"])
        assert "invalid" in capsys.readouterr().err.strip().splitlines()[-1]


def test_the_edges_are_allowed():
    assert sample.parse(["--workdir=x", "--caption=a", "--num=1", f"--seed={2**32 - 1}"]).num == 1
    assert evaluate.parse(["--protocol=tsne", "--workdir=x", "--num=1000000"]).num == 10**6
    assert benchmark.parse(["--what=data", "--seconds=0.1", "--need=1e-3"]).need == 1e-3
