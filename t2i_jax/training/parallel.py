"""How one step runs on however many devices there are.

``jit``: a global-view program over a mesh ``(data, fsdp)``; the batch is split over both axes, the
state is replicated or, with ``fsdp > 1``, large parameters are split over the second. ``pmap``: one
program a device with the axis name ``"data"``. Both compile once, ahead of time, from shapes.

Host batches are dicts of NumPy arrays ``[d_steps, B, ...]`` with this process's rows of the global
batch.
"""

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

AXIS = "data"

# XLA:CPU drops the barriers by which a program says in what order it may run (`in_order`), and
# orders by what is computed with most units at once, not by the memory that is held.
_COMPILER_OPTIONS = {
    "cpu": {
        "xla_disable_hlo_passes": "cse_barrier_expander",
        "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
        # A step takes as long as at LLVM's highest level; compiling it is a tenth quicker.
        "xla_backend_optimization_level": 1,
    }
}


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A compiled step.

    bytes_accessed: that one device reads and writes in a step, as XLA counts the compiled program.
    peak_bytes: a device's memory for arguments, results and temporaries.
    """

    call: Callable
    bytes_accessed: float | None
    peak_bytes: int | None


@dataclasses.dataclass(frozen=True)
class Lowered:
    """A traced step, to be compiled.

    call: what runs it, where that is not the compiled program.
    """

    traced: jax.stages.Lowered
    call: Callable | None = None

    def compile(self) -> Compiled:
        """Compiles it; may be called in any thread."""
        # What runs a program on several processes compiles once more, and finds this one only if
        # it was compiled without options.
        compiled = _compiled(self.traced, {} if self.call else compiler_options())
        memory = compiled.memory_analysis()
        peak = None
        if memory is not None:
            peak = (
                memory.temp_size_in_bytes
                + memory.argument_size_in_bytes
                + memory.output_size_in_bytes
                - memory.alias_size_in_bytes
            )
        return Compiled(self.call or compiled, _costs(compiled).get("bytes accessed"), peak)


def compiler_options() -> dict[str, Any]:
    """Those of this backend that ``XLA_FLAGS`` does not set itself."""
    options = _COMPILER_OPTIONS.get(jax.default_backend(), {})
    flags = os.environ.get("XLA_FLAGS", "")
    return {name: value for name, value in options.items() if name not in flags}


def _compiled(lowered: jax.stages.Lowered, options: dict[str, Any]) -> jax.stages.Compiled:
    """Compiles with the options that this XLA knows: they come and go with its versions."""
    try:
        return lowered.compile(options or None)
    except jax.errors.JaxRuntimeError as error:
        unknown = [name for name in options if f"No such compile option: '{name}'" in str(error)]
        if not unknown:
            raise
    warnings.warn(
        f"jaxlib {jax.lib.__version__} has no compiler option {unknown[0]!r}: the step is compiled "
        "without it, and may take longer or hold more memory",
        stacklevel=2,
    )
    return _compiled(lowered, {k: v for k, v in options.items() if k != unknown[0]})


def _costs(stage) -> Mapping[str, float]:
    cost = stage.cost_analysis() or {}
    return cost[0] if isinstance(cost, list | tuple) else cost


class JitParallel:
    """The global-view program over a mesh of all devices of all processes."""

    axis_name = None

    def __init__(self, fsdp: int = 1):
        count = jax.device_count()
        if count % fsdp:
            raise ValueError(f"fsdp={fsdp} does not divide the {count} devices")
        self.mesh = jax.make_mesh(
            (count // fsdp, fsdp),
            (AXIS, "fsdp"),
            axis_types=(AxisType.Auto,) * 2,
            devices=jax.devices(),
        )
        self.fsdp = fsdp
        self.replicated = NamedSharding(self.mesh, P())
        self.rows = NamedSharding(self.mesh, P(None, (AXIS, "fsdp")))

    def _spec(self, shape: tuple[int, ...]) -> P:
        """The largest divisible dimension of a large array is split over fsdp."""
        if self.fsdp == 1 or int(np.prod(shape)) < 2**14:
            return P()
        for dim in sorted(range(len(shape)), key=lambda d: -shape[d]):
            if shape[dim] % self.fsdp == 0:
                return P(*("fsdp" if d == dim else None for d in range(len(shape))))
        return P()

    def shardings(self, tree: Any) -> Any:
        """A sharding a leaf, for a tree of arrays or of shapes."""
        return jax.tree.map(lambda x: NamedSharding(self.mesh, self._spec(x.shape)), tree)

    def abstract(self, tree: Any) -> Any:
        """What a checkpoint restores onto: shapes, dtypes and shardings."""
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(
                x.shape, x.dtype, sharding=NamedSharding(self.mesh, self._spec(x.shape))
            ),
            tree,
        )

    def put_state(self, tree: Any) -> Any:
        """Places a tree that every process holds in full."""
        return jax.tree.map(_place, tree, self.shardings(tree))

    def from_global(self, tree: Any) -> Any:
        """The state to run on, from arrays as `abstract` describes them."""
        return tree

    def to_global(self, tree: Any) -> Any:
        """Arrays that a checkpoint can store from any number of processes."""
        return tree

    def put_batch(self, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
        """Global arrays from this process's rows."""
        return {k: jax.make_array_from_process_local_data(self.rows, v) for k, v in batch.items()}

    def placed(self, state: Any, batch: Any, frozen: Any) -> tuple[Any, Any, Any]:
        """Shapes of what `put_state` and `put_batch` make of trees of these shapes, for `lower`."""
        processes = jax.process_count()

        def rows(x):
            steps, local, *rest = x.shape
            shape = (steps, local * processes, *rest)
            return jax.ShapeDtypeStruct(shape, x.dtype, sharding=self.rows)

        return self.abstract(state), jax.tree.map(rows, batch), self.abstract(frozen)

    def lower(self, step: Callable, state: Any, batch: Any, frozen: Any) -> Lowered:
        """Traces `step`; the state is donated, frozen networks are plain arguments."""
        shardings = self.shardings(state)
        jitted = jax.jit(step, donate_argnums=0, out_shardings=(shardings, self.replicated))
        return Lowered(jitted.lower(state, batch, frozen))

    def compile(self, step: Callable, state: Any, batch: Any, frozen: Any) -> Compiled:
        """Traces and compiles `step`."""
        return self.lower(step, state, batch, frozen).compile()

    def whole(self, tree: Any) -> Any:
        """The tree as NumPy arrays, whatever its sharding; every process must call it."""
        if self.fsdp > 1 and jax.process_count() > 1:  # no process holds all of it
            tree = jax.jit(_same, out_shardings=self.replicated)(tree)
        return jax.device_get(tree)

    def scalars(self, metrics: Mapping[str, jax.Array]) -> dict[str, float]:
        """Metrics as Python floats."""
        return {k: float(v) for k, v in jax.device_get(dict(metrics)).items()}


class PmapParallel:
    """One program a device, all along one named axis."""

    axis_name = AXIS

    def __init__(self):
        self.devices = jax.local_devices()
        mesh = jax.make_mesh(
            (jax.device_count(),), (AXIS,), axis_types=(AxisType.Auto,), devices=jax.devices()
        )
        self.replicated = NamedSharding(mesh, P())

    def abstract(self, tree: Any) -> Any:
        """What a checkpoint restores onto."""
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self.replicated), tree
        )

    def put_state(self, tree: Any) -> Any:
        """One copy a device, along a leading axis."""
        count = len(self.devices)
        host = jax.tree.map(np.asarray, tree)
        return jax.pmap(lambda t, _: t, in_axes=(None, 0))(host, np.zeros(count))

    def from_global(self, tree: Any) -> Any:
        """The state to run on, from arrays as `abstract` describes them."""
        return self.put_state(self._first(tree))

    def to_global(self, tree: Any) -> Any:
        """Arrays that a checkpoint can store from any number of processes."""
        return jax.tree.map(lambda x: _place(x, self.replicated), self.whole(tree))

    def put_batch(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """[d_steps, B, ...] -> [devices, d_steps, B / devices, ...]."""
        count = len(self.devices)

        def split(x):
            steps, rows, *rest = x.shape
            if rows % count:
                raise ValueError(f"a batch of {rows} rows cannot be split over {count} devices")
            return x.reshape(steps, count, rows // count, *rest).swapaxes(0, 1)

        return {k: split(v) for k, v in batch.items()}

    def placed(self, state: Any, batch: Any, frozen: Any) -> tuple[Any, Any, Any]:
        """As of `JitParallel`, but arrays: on several processes pmap does not lower shapes. They
        hold one zero each.
        """
        count = len(self.devices)

        def zeros(x, *shape):
            return np.broadcast_to(np.zeros((), x.dtype), (count, *shape))

        def rows(x):
            steps, local, *rest = x.shape
            return zeros(x, steps, local // count, *rest)

        state, frozen = jax.tree.map(lambda x: zeros(x, *x.shape), (state, frozen))
        return state, jax.tree.map(rows, batch), frozen

    def lower(self, step: Callable, state: Any, batch: Any, frozen: Any) -> Lowered:
        """Traces `step`; the state is donated."""
        mapped = jax.pmap(step, axis_name=AXIS, donate_argnums=0)
        # What pmap lowers to takes global arrays; its wrapper turns this process's rows into them,
        # and finds the program compiled.
        call = mapped if jax.process_count() > 1 else None
        return Lowered(mapped.lower(state, batch, frozen), call)

    def compile(self, step: Callable, state: Any, batch: Any, frozen: Any) -> Compiled:
        """Traces and compiles `step`."""
        return self.lower(step, state, batch, frozen).compile()

    def whole(self, tree: Any) -> Any:
        """The tree as NumPy arrays: the first device's copy."""
        return jax.tree.map(lambda x: np.asarray(x.addressable_shards[0].data)[0], tree)

    def scalars(self, metrics: Mapping[str, jax.Array]) -> dict[str, float]:
        """Metrics as Python floats; every device holds the mean."""
        return {k: float(v) for k, v in self.whole(dict(metrics)).items()}

    @staticmethod
    def _first(tree: Any) -> Any:
        return jax.tree.map(lambda x: np.asarray(x.addressable_shards[0].data), tree)


def _same(tree: Any) -> Any:
    return tree


def _place(x: Any, sharding: NamedSharding) -> jax.Array:
    """An array that every process holds in full, under any sharding over all processes."""
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])


def make_parallel(kind: str, fsdp: int = 1) -> JitParallel | PmapParallel:
    """``"jit"`` or ``"pmap"``; ValueError for anything else, or for fsdp under pmap."""
    if kind == "jit":
        return JitParallel(fsdp)
    if kind == "pmap":
        if fsdp != 1:
            raise ValueError("fsdp needs parallel='jit'; pmap keeps a whole copy on every device")
        return PmapParallel()
    raise ValueError(f"parallel={kind!r}; known: 'jit', 'pmap'")
