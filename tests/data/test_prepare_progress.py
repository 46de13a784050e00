"""Progress: a bar on a terminal, lines in a log, nothing on request."""

import io

import pytest
from rich.console import Console

from t2i_jax.data import prepare_progress


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("total", [20, None])
def test_items_pass_through_and_the_end_is_shown(terminal, total):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80)
    items = prepare_progress.track(iter(range(20)), "cub train", total, console)
    assert list(items) == list(range(20))
    if terminal:
        assert "cub train" in out.getvalue() and ("20/20" in out.getvalue() or total is None)
    else:
        of = " of 20" if total else ""
        assert out.getvalue().splitlines()[-1].startswith(f"cub train: 20{of} done in ")


def test_items_that_are_not_all_taken_are_not_done():
    out = io.StringIO()
    items = prepare_progress.track(iter("abc"), "kills", 3, Console(file=out, width=80))
    next(items)
    items.close()
    assert "done" not in out.getvalue()


def test_without_a_console_nothing_is_shown(capsys):
    assert list(prepare_progress.track([1, 2], "x", 2, None)) == [1, 2]
    assert capsys.readouterr() == ("", "")
