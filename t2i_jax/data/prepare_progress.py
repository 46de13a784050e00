"""Progress of a long preparation: a bar on a terminal, now and then a line in a log."""

import datetime
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LOG_SECONDS = 10.0
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
        with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
            yield from progress.track(items, total=total, description=title)
    else:
        yield from _lines(items, title, total, console)


def _lines(items: Iterable[T], title: str, total: int | None, console: Console) -> Iterator[T]:
    of = "" if total is None else f" of {total:,}"
    start = last = time.monotonic()
    count = 0
    for item in items:
        yield item
        count += 1
        now = time.monotonic()
        if now - last >= LOG_SECONDS:
            last, rate = now, count / (now - start)
            speed = f"{rate:,.0f}/s" if rate >= 1 else f"{1 / rate:,.1f} s each"
            if total:
                speed += f", ETA {datetime.timedelta(seconds=round((total - count) / rate))}"
            console.print(f"{title}: {count:,}{of}, {speed}", highlight=False)
    seconds = time.monotonic() - start
    console.print(f"{title}: {count:,}{of} done in {seconds:.1f} s", highlight=False)
