"""Measuring one train step on the devices at hand, its input pipeline beside it.

The step is the one that `loop` runs, compiled the same way. Its numbers do not depend on what the
images show, so a batch of noise stands in where the data set is not prepared.
"""

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from ml_collections import ConfigDict

from t2i_jax.data import catalog, throughput
from t2i_jax.data.pipeline import DataOptions, RandomAccessSource, make_pipeline
from t2i_jax.data.prepared import captions_of
from t2i_jax.data.throughput import Throughput
from t2i_jax.profiling import devices, flops, missing
from t2i_jax.profiling.noise import noise_batch
from t2i_jax.training import build, reading
from t2i_jax.training.fresh import forget
from t2i_jax.training.parallel import Compiled, make_parallel
from t2i_jax.training.step import StepOptions, fresh_state, make_step

_RECORDS = 10_000  # that schedules in epochs count on where there is no data set
_WORDS = 5_450  # of a vocabulary, where there is no data set: that of the published birds
_WARM_UP = 3  # steps before the clock starts
_PROFILED = 3  # steps of a trace


@dataclasses.dataclass(frozen=True)
class Workload:
    """A built system and one host batch of its data.

    batch: NumPy arrays [B, ...], as the training loop would get them: sentence vectors instead of
      tokens where a frozen encoder's vectors are cached.
    source: the records; None where the data set is not prepared and `batch` is noise.
    notes: what is not as in a training, in words.
    """

    system: build.System
    data: DataOptions
    options: StepOptions
    batch: dict[str, np.ndarray]
    source: RandomAccessSource | None
    notes: tuple[str, ...]


def make_workload(config: ConfigDict, draw: build.Draw = build.drawn) -> Workload:
    """Builds what the config describes, with as little as is there.

    A network that does not exist is replaced by an untrained one (`missing.replaced`), a data set
    that is not prepared by noise. Raises ValueError or FileNotFoundError for all else that is
    missing or wrong.

    draw: of untrained weights; `jax.eval_shape` gives a workload that can be lowered and not run.
    """
    with missing.replaced(config) as (config, notes):
        data = build.data_options(config)
        try:
            source = catalog.open_split(data.name, data.data_dir, data.split)
        except catalog.NotPrepared:
            source = None
            notes.append(f"{data.title} is not prepared in {data.data_dir}: batches are noise")
        captions = _no_captions if source is None else functools.partial(captions_of, source)
        system = build.build(config, captions=captions, draw=draw)
        reading.check(system, data)
        if source is None:
            batch = noise_batch(data, system.tokenizer)
        else:
            batch = make_pipeline(data, system.tokenizer, source=source).example_batch()
    system.complete(batch)
    if reading.is_cached(system, data):
        batch = reading.with_cached_sentences(batch, system)
    records = _RECORDS if source is None else len(source)
    options = build.step_options(system, data.batch, records)
    return Workload(system, data, options, batch, source, tuple(notes))


def _no_captions() -> list[list[str]]:
    """A vocabulary of the usual size where there are no captions to make one from."""
    return [[f"word{i}"] for i in range(_WORDS)]


@dataclasses.dataclass
class Ready:
    """A compiled step and what it takes, on the devices (under pmap the batch travels along).

    flops: see `flops.of_step`.
    parameters: by trained network. frozen_size: of all others together.
    compile_seconds: tracing and compiling, without any cache.
    """

    compiled: Compiled
    state: Any
    batch: Any
    frozen: Any
    flops: float
    parameters: dict[str, int]
    frozen_size: int
    compile_seconds: float

    def run(self) -> tuple[float, float]:
        """One step, waited for: seconds, and CPU-seconds of this process with all its threads.

        Raises FloatingPointError where a metric is NaN or infinite.
        """
        begin, cpu = time.perf_counter(), time.process_time()
        self.state, metrics = jax.block_until_ready(
            self.compiled.call(self.state, self.batch, self.frozen)
        )
        took = time.perf_counter() - begin, time.process_time() - cpu
        bad = [name for name, x in metrics.items() if not bool(jnp.all(jnp.isfinite(x)))]
        if bad:
            raise FloatingPointError(f"after steps on one batch {bad} is NaN or infinite")
        return took

    def warm_up(self) -> None:
        """The first steps, which nobody times."""
        for _ in range(_WARM_UP):
            self.run()


def prepare(work: Workload) -> Ready:
    """Initializes the networks of a workload and compiles its step."""
    system, config = work.system, work.system.config
    parallel = make_parallel(config.parallel, config.fsdp)
    state = fresh_state(system.recipe, work.options, work.batch, system.variables).values()
    forget()  # as in a training
    sizes = {name: _size(tree) for name, tree in state.params.items()}
    frozen = system.in_step(system.variables)
    frozen_size = _size(frozen)
    stacked = {k: np.stack([v] * config.d_steps) for k, v in work.batch.items()}
    shapes = shapes_of(state), _of_all(stacked), shapes_of(frozen)
    state, frozen = parallel.put_state(state), parallel.put_state(frozen)
    batch = parallel.put_batch(stacked)
    step = make_step(system.recipe, work.options, parallel.axis_name)
    with no_compilation_cache():
        begin = time.perf_counter()
        compiled = parallel.compile(step, state, batch, frozen)
        seconds = time.perf_counter() - begin
    # Only now: what is traced once is traced quickly, and compiling is timed from the start.
    counted = flops.of_step(system.recipe, work.options, *shapes)
    return Ready(compiled, state, batch, frozen, counted, sizes, frozen_size, seconds)


def shapes_of(tree: Any) -> Any:
    """The tree with shapes and dtypes in the place of its arrays."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


def _of_all(batch: Any) -> Any:
    """The shapes of a batch on all processes, of the shapes on this one."""

    def rows(x):
        steps, local, *rest = x.shape
        return jax.ShapeDtypeStruct((steps, local * jax.process_count(), *rest), x.dtype)

    return jax.tree.map(rows, batch)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepBenchmark:
    """What `measure_step` found.

    images: of a step, over all its sub-batches.
    decoded_per_image: images that the pipeline decodes for each of them (mismatched ones too).
    parameters, frozen, compile_seconds: see `Ready`.
    seconds: of a step, its quartiles: (a quarter of the steps took less, half, three quarters).
    cpu_seconds: of this process for a step, the median.
    flops, bytes_accessed: of a step on all devices together, see `flops.of_step` and
      `parallel.Compiled`; the latter None where the backend does not say.
    peak: the most FLOPs a second that one device can do; None where that is not known.
    program_bytes: a device's memory for the arguments, results and temporaries of the step.
    device_bytes: the most that a device has held, where it keeps count (CPUs do not).
    pipeline: the input pipeline by itself; None without data.
    """

    system: str
    device: str
    devices: int
    parallel: str
    dtype: str
    images: int
    decoded_per_image: int
    parameters: dict[str, int]
    frozen: int
    compile_seconds: float
    seconds: tuple[float, float, float]
    cpu_seconds: float
    flops: float
    bytes_accessed: float | None
    peak: float | None
    program_bytes: int | None
    device_bytes: int | None
    pipeline: Throughput | None
    notes: tuple[str, ...]

    @property
    def steps_per_second(self) -> float:
        """By the median step."""
        return 1 / self.seconds[1]

    @property
    def images_per_second(self) -> float:
        """That G's and D's step consumes."""
        return self.images / self.seconds[1]

    @property
    def decoded_per_second(self) -> float:
        """Images that the input pipeline has to decode to keep up."""
        return self.images_per_second * self.decoded_per_image

    @property
    def flops_per_second(self) -> float:
        """Achieved by all devices together."""
        return self.flops / self.seconds[1]

    @property
    def mfu(self) -> float | None:
        """Model FLOPs utilization: the achieved part of the peak of all devices."""
        if self.peak is None:
            return None
        return self.flops_per_second / (self.peak * self.devices)

    @property
    def input_bound(self) -> float | None:
        """The part of a training's time for which the devices would wait for the input pipeline,
        as fast as that is by itself: 0 where it keeps up.
        """
        if self.pipeline is None:
            return None
        return max(0.0, 1 - self.pipeline.images_per_second / self.decoded_per_second)


def measure_step(
    work: Workload,
    steps: int = 20,
    data_seconds: float = 3.0,
    peak: float | None = None,
    profile: str | os.PathLike = "",
) -> StepBenchmark:
    """Compiles the step, times `steps` of it one by one, then the input pipeline.

    data_seconds: how long the pipeline is timed; 0 leaves it out.
    peak: FLOPs a second of a device that `devices` does not know.
    profile: the folder for a trace of a few more steps; "" for none.
    """
    system, config = work.system, work.system.config
    before = _most_held()
    ready = prepare(work)
    ready.warm_up()
    times, cpu = zip(*(ready.run() for _ in range(steps)), strict=True)
    after = _most_held()
    if profile:
        with jax.profiler.trace(profile):
            for _ in range(_PROFILED):
                ready.run()
    pipeline = None
    if work.source is not None and data_seconds:
        pipeline = throughput.measure(work.data, system.tokenizer, data_seconds, source=work.source)
    device, compiled = jax.devices()[0], ready.compiled
    known = devices.recognised(device.device_kind)
    moved = compiled.bytes_accessed
    return StepBenchmark(
        system=config.system,
        device=device.device_kind,
        devices=jax.device_count(),
        parallel=config.parallel,
        dtype=config.dtype,
        images=work.data.batch * config.d_steps,
        decoded_per_image=2 if work.data.mismatch == "image" else 1,
        parameters=ready.parameters,
        frozen=ready.frozen_size,
        compile_seconds=ready.compile_seconds,
        seconds=tuple(float(x) for x in np.quantile(times, (0.25, 0.5, 0.75))),
        cpu_seconds=float(np.median(cpu)),
        flops=ready.flops,
        bytes_accessed=None if moved is None else moved * jax.device_count(),
        peak=peak or (known and known.peak(config.dtype)),
        program_bytes=compiled.peak_bytes,
        # The device's own mark never falls: what an earlier benchmark set says nothing here.
        device_bytes=after if after is not None and after > (before or 0) else None,
        pipeline=pipeline,
        notes=work.notes,
    )


@contextlib.contextmanager
def no_compilation_cache() -> Iterator[None]:
    """Compiles as on a new machine: the persistent cache is neither read nor written."""
    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()  # or jax goes by what it found at its first compilation
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


def _size(tree: Any) -> int:
    return sum(x.size for x in jax.tree.leaves(tree))


def _most_held() -> int | None:
    """The most bytes that any device of this process has held; None where it is not counted."""
    counts = [
        (device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()
    ]
    return max((count for count in counts if count is not None), default=None)
