"""The table of what a step holds; `test_plan` measures the programs that it tells of."""

import json

import pytest

from t2i_jax.commands import benchmark
from t2i_jax.profiling import plan
from t2i_jax.training.recomputed import FORMS

HELD = {"none": 300, "elementwise": 200, "all": 100}  # of a batch of one


@pytest.fixture
def asked(monkeypatch):
    """The configs for which a program is compiled; of each a program with round numbers."""
    seen = []

    def programs(config, counts):
        assert list(counts) == [1]
        seen.append(config)
        temporaries = HELD[config.remat] * config.data.batch
        yield {"arguments": 1000, "temporaries": temporaries, "results": 5, "notes": ["no data"]}

    monkeypatch.setattr(plan, "programs", programs)
    return seen


def test_every_batch_dtype_and_form(asked, tmp_path, capsys):
    out = tmp_path / "memory.json"
    benchmark.main(["--what=memory", "--config=df_gan:debug", "--batches=2,4", f"--out={out}"])
    rows = json.loads(out.read_text())
    cells = [(row["batch"], row["dtype"], row["remat"]) for row in rows]
    assert cells == [(b, d, f) for b in (2, 4) for d in ("float32", "bfloat16") for f in FORMS]
    assert cells == [(c.data.batch, c.dtype, c.remat) for c in asked]
    for row in rows:
        assert row["temporaries"] == HELD[row["remat"]] * row["batch"]
        assert row["together"] == 1005 + row["temporaries"]
    shown = capsys.readouterr().out
    assert shown.count("no data") == 1 and "elementwise" in shown and "bfloat16" in shown


def test_an_encoder_computes_nothing_again(asked):
    benchmark.main(["--what=memory", "--config=char_cnn_rnn:debug"])
    assert [config.dtype for config in asked] == ["float32", "bfloat16"]


def test_a_batch_of_nothing_is_refused(asked, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--what=memory", "--config=df_gan:debug", "--batches=0"])
    assert "--batches needs numbers from 1" in capsys.readouterr().err and not asked
