"""Hearing signals instead of being ended by them."""

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator


@contextlib.contextmanager
def heard(signals: Iterable[int], hear: Callable[[int, object], None]) -> Iterator[None]:
    """Inside, these signals call `hear`. One that the process was started to ignore, as by nohup,
    stays ignored. Only the main thread may ask for that.
    """
    listened = [s for s in signals if signal.getsignal(s) not in (signal.SIG_IGN, None)]
    before = {s: signal.signal(s, hear) for s in listened}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
