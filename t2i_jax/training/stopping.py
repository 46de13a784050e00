"""How a training is asked to stop: SIGTERM, Ctrl-C, a lost terminal, a closed pipe."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import jax

from t2i_jax import signals

SIGNALS = {
    signal.SIGTERM: "SIGTERM",
    signal.SIGINT: "Ctrl-C (SIGINT)",
    signal.SIGHUP: "SIGHUP, for its terminal is gone",
}


class Stopped(SystemExit):
    """A stop where there was nothing to save. `code` is the exit status."""

    def __init__(self, status: int, why: str):
        super().__init__(status)
        self.why = why


class Stopping:
    """The first request to stop. The loop obeys it after the step that is running: it saves, says
    so and exits with `status`.

    status: 0 without a request, else 128 and the number of the signal, as shells have it.
    why: what asked, in words.
    """

    def __init__(self):
        self.status = 0
        self.why = ""
        self._deferred = False

    def ask(self, number: signal.Signals, why: str) -> None:
        """Asks for a stop, unless one was asked for before. Of several processes all stop: jax
        carries a SIGTERM of one to the others.
        """
        if self.status:
            return
        self.status, self.why = 128 + number, why
        if jax.process_count() > 1 and number != signal.SIGTERM:
            os.kill(os.getpid(), signal.SIGTERM)

    @contextlib.contextmanager
    def listening(self) -> Iterator["Stopping"]:
        """Inside, signals are requests. Only the main thread may ask for that. A signal that the
        process was started to ignore (as by nohup) stays ignored. A second Ctrl-C ends the process
        at once.
        """
        with signals.heard(SIGNALS, self._hear):
            yield self

    @contextlib.contextmanager
    def interrupted(self) -> Iterator["Stopping"]:
        """Inside, Ctrl-C or a notebook's stop button is a request, as in `listening`, for programs
        that go on afterwards: where there is nothing to be saved, and at the second time, it is a
        KeyboardInterrupt. Off the main thread, which alone hears signals, nothing changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        with signals.heard((signal.SIGINT,), self._interrupt):
            yield self

    def _interrupt(self, *_) -> None:
        if self.status or not self._deferred:
            raise KeyboardInterrupt
        self.ask(signal.SIGINT, "an interrupt")

    @contextlib.contextmanager
    def after_the_step(self) -> Iterator[None]:
        """Inside, the caller looks at `status` after every step; elsewhere a signal ends the
        training where it stands, as there is nothing to be saved.
        """
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _hear(self, number: int, _) -> None:
        number = signal.Signals(number)
        if self.status and number == signal.SIGINT:
            os._exit(self.status)  # waits for nothing, not even for a checkpoint being written
        self.ask(number, SIGNALS[number])
        if not self._deferred:
            raise Stopped(self.status, self.why)
        if number == signal.SIGINT:
            # Not by `print`, into the middle of which this may have come.
            with contextlib.suppress(OSError):
                os.write(2, b"\nsaving after this step; Ctrl-C again ends it at once\n")
