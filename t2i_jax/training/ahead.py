"""The step, compiled while its data are read.

Compiling takes shapes alone, and the compiler runs beside Python: captions are encoded, networks
drawn, or read from a checkpoint, and the first batch is made in the meantime.
"""

import dataclasses
import threading
import time
from collections.abc import Mapping
from concurrent import futures
from typing import Any

import jax
import numpy as np

from t2i_jax.training.parallel import Compiled, Lowered
from t2i_jax.training.plan import Plan
from t2i_jax.training.state import TrainState
from t2i_jax.training.step import make_step

_FROM_CACHE = "/jax/compilation_cache/cache_hits"  # jax's name of the event


@dataclasses.dataclass(eq=False)
class Ahead:
    """Compiles a traced program in a thread of its own, which begins at once.

    A compiler cannot be stopped, nor left to itself by a process that ends: Python waits for the
    thread, whatever the process ends with.
    """

    lowered: Lowered | None  # until it is compiled: it is as large as the program

    def __post_init__(self):
        # Not the thread is waited for: of one whose `join` a signal ended, Python 3.11 believes
        # that it is over, and the process does not wait for it.
        self._result: futures.Future[Compiled] = futures.Future()
        self._cached, self._seconds = False, 0.0
        self._thread = threading.Thread(target=self._compile, name="compiling the step")
        self._thread.start()

    def _compile(self) -> None:
        began = time.perf_counter()
        jax.monitoring.register_event_listener(self._hear)
        try:
            compiled, error, self.lowered = self.lowered.compile(), None, None
        except BaseException as raised:
            compiled, error = None, raised
        jax.monitoring.unregister_event_listener(self._hear)
        self._seconds = time.perf_counter() - began
        self._result.set_exception(error) if error else self._result.set_result(compiled)

    def _hear(self, event: str, **_) -> None:
        # Other threads compile, too.
        if event == _FROM_CACHE and threading.current_thread() is self._thread:
            self._cached = True

    def compiled(self) -> Compiled:
        """The compiled program, waited for. Raises what compiling raised."""
        return self._result.result()

    def told(self) -> str:
        """How long it took, in words; of a program that is compiled."""
        how = f", taken from {jax.config.jax_compilation_cache_dir}" if self._cached else ""
        return f"in {self._seconds:.1f} s{how}"


def begin(plan: Plan, state: TrainState, example: Mapping[str, np.ndarray], frozen: Any) -> Ahead:
    """Traces the plan's step, and begins to compile it. What tracing finds wrong, such as terms
    that are not the weighted ones, is raised before anything is compiled.

    state: its shapes. example: a host batch without the leading axis of sub-batches.
    """
    count, parallel = plan.config.d_steps, plan.parallel
    batch = {k: jax.ShapeDtypeStruct((count, *v.shape), v.dtype) for k, v in example.items()}
    step = make_step(plan.system.recipe, plan.options, parallel.axis_name)
    return Ahead(parallel.lower(step, *parallel.placed(state, batch, frozen)))
