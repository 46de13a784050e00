"""What is freed stays with the process, by the kernel's own count of pages."""

import os
import subprocess
import sys
import types

import pytest

from t2i_jax.training import freed_memory

_PAGES = """
import resource
import jax
import jax.numpy as jnp
from t2i_jax.training import freed_memory

kept = KEEP and freed_memory.keep()
f = jax.jit(lambda x: jnp.fft.fft(x).real.sum())  # 64 MB on the way
x = jnp.ones(1 << 22)
for _ in range(10):
    f(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    f(x).block_until_ready()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(keep: bool) -> tuple[int, int]:
    """(whether it is kept, pages that the kernel gave while a computation ran again)."""
    done = subprocess.run(
        [sys.executable, "-c", _PAGES.replace("KEEP", str(keep))],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    kept, count = done.stdout.split()
    return int(kept), int(count)


@pytest.mark.skipif(sys.platform != "linux", reason="malloc's settings are those of glibc")
def test_freed_memory_is_used_again():
    _, mapped_anew = pages(False)
    kept, used_again = pages(True)
    assert kept and used_again < mapped_anew / 2, (used_again, mapped_anew)


def test_an_accelerators_host_stays_as_it_is(monkeypatch):
    asked = types.SimpleNamespace(config=types.SimpleNamespace(jax_platforms="cuda,cpu"))
    monkeypatch.setattr(freed_memory, "jax", asked)
    assert not freed_memory.keep()
