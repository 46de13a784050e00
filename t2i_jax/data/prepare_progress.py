"""Progress of a long preparation: a bar on a terminal, now and then a line in a log."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from t2i_jax.waiting import Waiting

T = TypeVar("T")


def track(items: Iterable[T], title: str, total: int | None, console: Console | None) -> Iterator:
    """Passes `items` on while showing how many have gone by.

    total: None where it isn't known beforehand.
    console: None shows nothing.
    """
    if console is None:
        yield from items
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn())
        with Progress(*columns, *times, console=console) as progress:
            yield from progress.track(items, total=total, description=title)
    else:
        yield from _lines(items, title, total, console)


def _lines(items: Iterable[T], title: str, total: int | None, console: Console) -> Iterator[T]:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    with Waiting(title, say, done=0, total=total, live=False) as shown:
        for item in items:
            yield item
            shown.done += 1
