"""Steps that are timed in turns, in one process: what else the machine does strikes all alike."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from t2i_jax.profiling.step_time import Workload, prepare


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timed:
    """One of the steps.

    seconds, cpu_seconds: of every timed step, in order.
    """

    images: int
    parameters: dict[str, int]
    flops: float
    program_bytes: int | None
    compile_seconds: float
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]


def in_turns(works: Sequence[Workload], rounds: int) -> list[Timed]:
    """Compiles all steps, then times one of each in every round. Every other round goes backwards,
    so that none always follows the same one. All have their states on the devices at once.
    """
    ready = [prepare(work) for work in works]
    for one in ready:
        one.warm_up()
    times = [[] for _ in works]
    for i in range(rounds):
        order = list(enumerate(ready))
        for index, one in reversed(order) if i % 2 else order:
            times[index].append(one.run())
    return [
        Timed(
            images=work.data.batch * work.options.d_steps,
            parameters=one.parameters,
            flops=one.flops,
            program_bytes=one.compiled.peak_bytes,
            compile_seconds=one.compile_seconds,
            seconds=tuple(seconds for seconds, _ in took),
            cpu_seconds=tuple(cpu for _, cpu in took),
        )
        for work, one, took in zip(works, ready, times, strict=True)
    ]


def ratio(times: Sequence[float], to: Sequence[float]) -> tuple[float, float, float]:
    """Quartiles of the ratios of two steps' times, paired by rounds."""
    return tuple(float(q) for q in np.quantile(np.divide(times, to), (0.25, 0.5, 0.75)))
