"""The XLA options that the suite compiles with: most of its time is compiling."""

import os
import subprocess
import sys

_OPTIONS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
# A step then compiles three times as fast. XLA's options come and go, and one that it does not know
# ends the process, so a process of its own asks first.
_IF_KNOWN = "--xla_cpu_use_fusion_emitters=false"


def options() -> str:
    """Options for ``XLA_FLAGS``. The processes that the suite starts do not ask again."""
    given = os.environ.get("XLA_FLAGS", "")
    if _OPTIONS in given:
        return f"{_OPTIONS} {_IF_KNOWN}" if _IF_KNOWN in given else _OPTIONS
    env = {**os.environ, "XLA_FLAGS": _IF_KNOWN, "JAX_PLATFORMS": "cpu"}
    asked = [sys.executable, "-c", "import jax; jax.devices()"]
    known = subprocess.run(asked, env=env, capture_output=True, check=False).returncode == 0
    return f"{_OPTIONS} {_IF_KNOWN}" if known else _OPTIONS
