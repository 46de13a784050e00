"""What Orbax prints of a failure beside the error that it raises: pages of tracebacks from threads,
that say no more than the one line which users get.
"""

import contextlib
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

_ABANDONED = ("Event loop is closed", "Encountered error while reading array index")


@contextlib.contextmanager
def without_reads() -> Iterator[None]:
    """When a read fails, Orbax abandons the others. Each of them ends later, with a traceback that
    says less than the error of the first: those are not printed.
    """
    before = sys.unraisablehook
    sys.unraisablehook = _hook(before)
    yield
    sys.unraisablehook = before  # not after a failed read


def _hook(before: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def hook(unraisable) -> None:
        if not str(unraisable.exc_value).startswith(_ABANDONED):
            before(unraisable)

    return hook


class WithoutSaves(logging.Filter):
    """Drops what the loggers of Orbax and asyncio write of errors that came through Orbax, and what
    is printed of writes that it abandoned. It is to stay after a failed save, of which threads go
    on to tell until Python ends.
    """

    _LOGGERS = ("absl", "asyncio")

    def __init__(self):
        super().__init__()
        for name in self._LOGGERS:
            logging.getLogger(name).addFilter(self)
        self._before = sys.unraisablehook
        sys.unraisablehook = _hook(self._before)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to print it."""
        error = record.exc_info[1] if record.exc_info else None
        frames = traceback.walk_tb(error.__traceback__ if error else None)
        return not any(f.f_globals.get("__name__", "").startswith("orbax.") for f, _ in frames)

    def end(self) -> None:
        """Prints everything again."""
        for name in self._LOGGERS:
            logging.getLogger(name).removeFilter(self)
        sys.unraisablehook = self._before
