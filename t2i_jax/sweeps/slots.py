"""Where trainings run beside each other: cores and GPUs of this machine, shared out."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping

# Each of several processes on one GPU takes its share of this part of the memory.
_MEMORY = 0.9


@dataclasses.dataclass(frozen=True)
class Slot:
    """A place for one process. variables: of its environment. cores: empty for all of them."""

    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cores: frozenset[int] = frozenset()


def slots(jobs: int, environ: Mapping[str, str] = os.environ) -> list[Slot]:
    """Places for so many processes. One alone has the whole machine."""
    if jobs == 1:
        return [Slot()]
    if devices := gpus(environ):
        places = []
        for i in range(jobs):
            mine = devices[i::jobs] or [devices[i % len(devices)]]
            variables = {"CUDA_VISIBLE_DEVICES": ",".join(mine)}
            share = _MEMORY / math.ceil(jobs / len(devices))
            if jobs > len(devices) and "XLA_PYTHON_CLIENT_MEM_FRACTION" not in environ:
                variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{share:.3f}"
            places.append(Slot(variables))
        return places
    if not hasattr(os, "sched_getaffinity"):
        return [Slot()] * jobs
    cores = sorted(os.sched_getaffinity(0))
    return [Slot(cores=frozenset(cores[i::jobs] or [cores[i % len(cores)]])) for i in range(jobs)]


def gpus(environ: Mapping[str, str] = os.environ, devices: str = "/dev") -> list[str]:
    """NVIDIA GPUs that a process would see, as CUDA_VISIBLE_DEVICES has them."""
    platforms = environ.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
        return []
    if "CUDA_VISIBLE_DEVICES" in environ:
        return [x for x in environ["CUDA_VISIBLE_DEVICES"].split(",") if x not in ("", "-1")]
    found = sorted(pathlib.Path(devices).glob("nvidia[0-9]*"))
    return [str(i) for i in range(len(found))]
