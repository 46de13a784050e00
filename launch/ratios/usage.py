"""What a process has used: time of its threads, memory."""

import ctypes
import gc
import pathlib
import time
from collections.abc import Callable
from typing import Any


def timed(function: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """(CPU-seconds of all threads, user and system, and seconds of the clock; the result)."""
    begin, cpu = time.perf_counter(), time.process_time()
    result = function()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - begin}, result


def forget_peak() -> bool:
    """Gives back what is free and lowers the high-water mark to what is held now; False where the
    system does not let a process do that.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_memory() -> int:
    """The most bytes that this process has held in memory, since its mark was lowered."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])
