"""What a step has freed is kept for the next one, on CPUs under Linux.

A step's temporary arrays are gigabytes. The C library's `malloc` gives them back after every step,
and the next step waits while the kernel clears each page again: a sixth of a step and more.
"""

import ctypes
import sys
from importlib.util import find_spec

import jax

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep() -> bool:
    """Keeps what is freed until the process ends; whether it does.

    Only where jax will compute on CPUs: on an accelerator's host there is little to win, and
    threads that read data would wait for each other. Call it before jax starts its threads, which
    have heaps of their own otherwise: what lies there is mapped anew whatever is set here.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None or not _on_cpus():
        return False
    settings = (_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)  # one heap, without end
    return all([mallopt(*setting) for setting in settings])


def _on_cpus() -> bool:
    """Whether ``JAX_PLATFORMS`` says so, or nothing else is installed; jax itself would start its
    threads to tell.
    """
    asked = jax.config.jax_platforms
    return asked == "cpu" if asked else not (find_spec("jax_plugins") or find_spec("libtpu"))
