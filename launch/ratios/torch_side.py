"""A stand-in of `launch/stand_ins/` under PyTorch: the same layers, passes and losses."""

import importlib
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from ratios.usage import timed

_LAUNCH = pathlib.Path(__file__).resolve().parent.parent


def build(job: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], dict[str, float]]]:
    """(what building took and gave, a function that runs one step and returns its losses).

    job: ``config``, ``rows`` and ``words`` as `jax_side.build` has told them; ``cores``. Raises
    ValueError where PyTorch or the system's stand-in is missing.
    """
    system = job["config"]["system"]
    files = _LAUNCH / "stand_ins", _LAUNCH.parent / "configs"
    known = sorted(set.intersection(*({p.stem for p in f.glob("*.py")} for f in files)))
    if system not in known:
        raise ValueError(f"no stand-in of {system!r} under torch; there are {', '.join(known)}")
    try:
        import torch
    except ImportError:
        raise ValueError(
            f"{sys.executable} has no torch: pip install 'torch>=2.4', or name another Python by "
            "--torch_python"
        ) from None
    torch.set_num_threads(len(job["cores"]))
    torch.manual_seed(0)
    module = importlib.import_module(f"stand_ins.{system}")
    init, step = timed(lambda: module.Step(job["config"], rows=job["rows"], words=job["words"]))
    return {
        "init": init["cpu"],
        "parameters": step.parameters(),
        "versions": {"torch": torch.__version__},
    }, step
