"""Progress of long work: a live line on a terminal, one plain line an interval everywhere."""

import contextlib
import datetime
import os
import sys
import threading
import time
from collections.abc import Mapping

from t2i_jax import paths


class Progress:
    """Says how far a training is. Time that compiling, sampling and saving take is not counted in
    its rates.

    ``live`` redraws one line on a terminal between two plain lines; a log gets only the plain ones.

    closed: whether nobody reads what is printed any more: the pipe was closed, or the terminal.
    """

    def __init__(self, total: int, images_per_step: int, log: paths.Path | None = None):
        self.total, self.images_per_step = total, images_per_step
        self._log = paths.Lines(log) if log else None
        self._saying = threading.Lock()  # threads that show how long something takes say it too
        self._last_step = 0
        self._mark = self._drawn = time.perf_counter()
        self._paused = 0.0
        self._rate: float | None = None
        self._terminal = sys.stderr.isatty()
        self._clear = "\r\x1b[K" if self._terminal else ""
        self.closed = False

    def say(self, text: str) -> None:
        """One plain line now, on the terminal and in the log."""
        with self._saying:
            self._print(f"{self._clear}{text}\n")
            if self._log:
                stamp = datetime.datetime.now().isoformat(timespec="seconds")
                self._log.add(f"{stamp} {text}")

    def _print(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:  # a broken pipe; EIO of a terminal
            self.closed = True
            # Python would fail anew at its exit, for what is still in the buffer.
            with open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), sys.stderr.fileno())

    def start_at(self, step: int) -> None:
        """Says that `step` steps were done before."""
        self._last_step = step

    def restart(self) -> None:
        """Starts the clock: what came before, compiling above all, is not counted."""
        self._mark, self._paused = time.perf_counter(), 0.0

    @contextlib.contextmanager
    def paused(self):
        """Takes the time inside out of the rates."""
        began = time.perf_counter()
        yield
        self._paused += time.perf_counter() - began

    def live(self, step: int) -> None:
        """Redraws the terminal's line, at most four times a second."""
        now = time.perf_counter()
        if not self._terminal or now - self._drawn < 0.25:
            return
        rate = (step - self._last_step) / max(now - self._mark - self._paused, 1e-9)
        self._drawn = now
        self._print(f"{self._clear}{self._head(step, rate)}")

    def interval(self, step: int, metrics: Mapping[str, float]) -> dict[str, float]:
        """One line for the steps since the last; returns the rates to be logged."""
        now = time.perf_counter()
        seconds = max(now - self._mark - self._paused, 1e-9)
        rate = (step - self._last_step) / seconds
        # ETA from a running mean: single intervals jitter on shared machines.
        self._rate = rate if self._rate is None else 0.7 * self._rate + 0.3 * rate
        losses = "  ".join(f"{k} {v:.4g}" for k, v in metrics.items() if "grad_norm" not in k)
        self.say(f"{self._head(step, self._rate, rate)}  {losses}")
        self._last_step, self._mark, self._paused = step, time.perf_counter(), 0.0
        return {"steps_per_second": rate, "images_per_second": rate * self.images_per_step}

    def _head(self, step: int, eta_rate: float, rate: float | None = None) -> str:
        rate = eta_rate if rate is None else rate
        left = (self.total - step) / eta_rate if eta_rate > 0 else float("inf")
        eta = str(datetime.timedelta(seconds=round(left))) if left < 1e8 else "?"
        return (
            f"step {step:,}/{self.total:,} ({100 * step / max(self.total, 1):.1f} %)  "
            f"{rate:.2f} steps/s  {rate * self.images_per_step:,.0f} images/s  ETA {eta}"
        )

    def close(self) -> None:
        """Closes the log."""
        if self._log:
            self._log.close()
