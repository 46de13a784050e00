"""What a sweep shows: a line a training that runs, and a table at the end."""

import contextlib
import datetime
import pathlib
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from t2i_jax.sweeps.points import Point
from t2i_jax.sweeps.state import DONE, Standing

EVERY = 60.0  # seconds between two lines of a log
_WIDTH = 160  # of a table in a log


class Show:
    """On a terminal bars that move, in a log plain lines. count: of all points."""

    def __init__(self, console: Console, count: int):
        self._console, self._count, self._ended = console, count, 0
        self._began = self._told = time.monotonic()
        self._first: dict[Point, tuple[float, int]] = {}  # when it was first seen, and how far
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[Point, int] = {}

    def __enter__(self) -> "Show":
        self._bars.start()
        self._all = self._bars.add_task("all", total=self._count, rate="")
        return self

    def __exit__(self, *_) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """A plain line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def started(self, point: Point, command: Sequence[str], log: pathlib.Path) -> None:
        """A process has been started for a point."""
        what = next((x for x in command if x.startswith("t2i_jax.")), command[0])
        self.say(f"{point.folder}: {what}, log {shlex.quote(str(log))}")
        if point not in self._tasks:
            self._tasks[point] = self._bars.add_task(point.folder, total=None, rate="")

    def ended(self, point: Point, standing: Standing) -> None:
        """Nothing runs for a point any more."""
        self._bars.remove_task(self._tasks.pop(point))
        why = f": {standing.error}" if standing.error else ""
        steps = f"{standing.steps:,}/{standing.total:,} steps"
        self.say(f"{point.folder}: {standing.status}, {steps}{why}")

    def count(self, ended: int) -> None:
        """So many of all points have ended, those of earlier calls included."""
        self._ended = ended
        self._bars.update(self._all, completed=ended)

    def stopping(self, count: int, again: bool) -> None:
        """A signal has come."""
        if again:
            self.say(f"killed {count} process(es)")
        else:
            self.say(f"stopping: {count} process(es) save and end; once more kills them")

    def look(self, running: Mapping[Point, Standing], left: int) -> None:
        """How far the trainings are, and how many steps are left of all of them."""
        now, whole = time.monotonic(), 0.0
        for point, standing in running.items():
            began, first = self._first.setdefault(point, (now, standing.steps))
            rate = (standing.steps - first) / max(now - began, 1e-9)
            whole += rate
            text = f"{rate:.2f} steps/s"
            total = standing.total
            self._bars.update(self._tasks[point], completed=standing.steps, total=total, rate=text)
        eta = f"ETA {datetime.timedelta(seconds=round(left / whole))}" if whole else "ETA ?"
        self._bars.update(self._all, rate=f"{whole:.2f} steps/s  {eta}")
        if not self._console.is_terminal and now - self._told >= EVERY:
            self._told = now
            parts = (f"{p.folder} {s.steps:,}/{s.total:,}" for p, s in running.items())
            done = f"{self._ended}/{self._count} ended"
            self.say(f"{done}; {', '.join(parts)}; {whole:.2f} steps/s  {eta}")


def table(rows: Iterable[tuple[Point, Standing]], metric: str = "") -> Table:
    """All points with what has become of them. metric: of a search, whose values are shown."""
    made = Table()
    for title in ("point", "status", "steps", "hours", *([metric] if metric else [])):
        made.add_column(title, justify="left" if title in ("point", "status") else "right")
    made.add_column("error", overflow="fold")
    for point, standing in rows:
        cells = [point.folder, standing.status, f"{standing.steps:,}/{standing.total:,}"]
        cells.append(_hours(standing))
        if metric:
            cells.append("" if standing.value is None else f"{standing.value:.4g}")
        style = None if standing.status == DONE else "bold"
        made.add_row(*cells, Text(standing.error), style=style)  # no markup
    return made


def console() -> Console:
    """The terminal, or a log with room for tables."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDTH)


def _hours(standing: Standing) -> str:
    """From the first start to the end, pauses included."""
    with contextlib.suppress(ValueError):
        began, ended = map(datetime.datetime.fromisoformat, (standing.started, standing.ended))
        return f"{(ended - began).total_seconds() / 3600:.2f}"
    return ""
