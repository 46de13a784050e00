"""Progress: a bar on a terminal, lines in a log, nothing on request."""

import io

import pytest
from rich.console import Console

from t2i_jax.data import prepare_progress


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("total", [20, None])
def test_items_pass_through_and_the_end_is_shown(terminal, total, monkeypatch):
    monkeypatch.setattr(prepare_progress, "LOG_SECONDS", 0.0)
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80)
    assert list(prepare_progress.track(iter(range(20)), "cub train", total, console)) == list(
        range(20)
    )
    assert "cub train" in out.getvalue()
    if terminal:
        assert "20/20" in out.getvalue() or total is None
    else:
        lines = out.getvalue().splitlines()
        of = " of 20" if total else ""
        assert lines[0].startswith(f"cub train: 1{of}, ") and lines[-1].startswith(
            f"cub train: 20{of} done"
        )


def test_slow_items_are_told_in_seconds_and_with_what_is_left(monkeypatch):
    moments = iter([0.0, 20.0, 30.0, 30.5, 40.0])
    monkeypatch.setattr(prepare_progress.time, "monotonic", lambda: next(moments))
    out = io.StringIO()
    items = prepare_progress.track(iter("abc"), "kills", 3, Console(file=out, width=80))
    assert list(items) == list("abc")
    assert out.getvalue().splitlines() == [
        "kills: 1 of 3, 20.0 s each, ETA 0:00:40",
        "kills: 2 of 3, 15.0 s each, ETA 0:00:15",
        "kills: 3 of 3 done in 40.0 s",
    ]


def test_without_a_console_nothing_is_shown(capsys):
    assert list(prepare_progress.track([1, 2], "x", 2, None)) == [1, 2]
    assert capsys.readouterr() == ("", "")
