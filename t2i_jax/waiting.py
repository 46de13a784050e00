"""What goes on, and for how long: a live line on a terminal, plain lines in a log.

A thread of its own writes them, so that work which returns late, such as compiling, is not silent.
"""

import contextlib
import datetime
import shutil
import sys
import threading
import time
from collections.abc import Callable

LIVE = 1.0  # seconds between two states of a terminal's line
FIRST, EVERY = 5.0, 30.0  # seconds until a log's first line, and between two


def to_stderr(text: str) -> None:
    """Writes a line."""
    print(text, file=sys.stderr, flush=True)


class Waiting:
    """Shows what goes on inside of ``with Waiting("compiling the step"):``.

    what: in words. say: writes a plain line.
    done: how many things are done, which the caller counts up; None where nothing is counted. What
        is counted ends with a line that says how many there were, unless it fails.
    total: how many things there are; None where that is not known.
    live: whether a line of standard error is drawn over and over; None: where that is a terminal.
    """

    def __init__(
        self,
        what: str,
        say: Callable[[str], None] = to_stderr,
        done: int | None = None,
        total: int | None = None,
        live: bool | None = None,
    ):
        self.what, self.done, self.total = what, done, total
        self._live = sys.stderr.isatty() if live is None else live
        self._say, self._of = say, "" if total is None else f" of {total:,}"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, name=what, daemon=True)

    def __enter__(self) -> "Waiting":
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind, *_) -> None:
        self._over.set()
        self._thread.join()
        if self.done is not None and kind is None:
            self._say(f"{self.what}: {self.done:,}{self._of} done in {self._seconds():.1f} s")

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _show(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more
            if self._live:
                self._redraw()
            else:
                self._add_lines()

    def _redraw(self) -> None:
        while not self._over.wait(LIVE):
            width = shutil.get_terminal_size().columns
            sys.stderr.write(f"\r\x1b[K{self.state()[: width - 1]}")
            sys.stderr.flush()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    def _add_lines(self) -> None:
        pause = FIRST
        while not self._over.wait(pause):
            self._say(self.state())
            pause = EVERY

    def state(self) -> str:
        """How it stands, in a line."""
        seconds = max(self._seconds(), 1e-9)
        count = "" if self.done is None else f" {self.done:,}{self._of},"
        if not self.done:
            return f"{self.what}:{count} for {_clock(seconds)}"
        rate = self.done / seconds
        speed = f"{rate:,.0f}/s" if rate >= 1 else f"{1 / rate:,.1f} s each"
        left = f", ETA {_clock((self.total - self.done) / rate)}" if self.total else ""
        return f"{self.what}:{count} {speed}{left}"


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
