"""Measuring one train step on the devices at hand, its input pipeline beside it.

The step is the one that `loop` runs, compiled the same way. Its numbers do not depend on what the
images show, so a batch of noise stands in where the data set is not prepared.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from ml_collections import ConfigDict

from t2i_jax import paths, types
from t2i_jax.data import catalog, throughput
from t2i_jax.data.pipeline import DataOptions, RandomAccessSource, make_pipeline
from t2i_jax.data.prepared import captions_of
from t2i_jax.data.throughput import Throughput
from t2i_jax.training import build, reading
from t2i_jax.training.parallel import Compiled, make_parallel
from t2i_jax.training.step import StepOptions, fresh_state, make_step

_RECORDS = 10_000  # that schedules in epochs count on where there is no data set
_EMBEDDING = 1024  # of stored text vectors, where there is no data set: that of the published ones
_WORDS = 5_450  # of a vocabulary, where there is no data set: that of the published birds
_WARM_UP = 3  # steps before the clock starts


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


def make_workload(config: ConfigDict) -> Workload:
    """Builds what the config describes, with as little as is there.

    A text encoder's run that does not exist is replaced by an untrained encoder, a data set that
    is not prepared by noise. Raises ValueError or FileNotFoundError for all else that is missing
    or wrong.
    """
    config, notes = config.copy_and_resolve_references(), []
    encoder = config.encoder
    if encoder.name and encoder.source not in ("", "random"):
        if not paths.exists(paths.path(encoder.source)):
            notes.append(f"no {encoder.source}: an untrained text encoder of the same kind")
            encoder.source = "random"
    data = build.data_options(config)
    try:
        source = catalog.open_split(data.name, data.data_dir, data.split)
    except catalog.NotPrepared:
        source = None
        notes.append(f"{data.title} is not prepared in {data.data_dir}: batches are noise")
    captions = _no_captions if source is None else functools.partial(captions_of, source)
    system = build.build(config, captions=captions)
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
    return [[f"word{i}" for i in range(_WORDS)]]


def noise_batch(data: DataOptions, tokenizer) -> dict[str, np.ndarray]:
    """A batch of the shapes and types that the pipeline of `data` would give."""
    rng = np.random.default_rng(0)
    rows = data.batch

    def image() -> np.ndarray:
        return rng.integers(0, 256, (rows, data.size, data.size, 3), np.uint8)

    def text(tokens: str, mask: str, sentence: str) -> dict[str, np.ndarray]:
        if data.text == "embeddings":
            return {sentence: rng.normal(size=(rows, _EMBEDDING)).astype(np.float32)}
        if tokenizer is None:
            raise ValueError("data.text='tokens' needs a tokenizer (or data.captions=0: no text)")
        shape = rows, data.captions, tokenizer.length
        ids = rng.integers(1, tokenizer.vocab_size, shape, np.int32)
        return {tokens: ids, mask: np.ones(shape, bool)}

    indices = np.arange(rows, dtype=np.int32)
    batch = {types.IMAGES: image(), types.LABEL: indices, types.INDEX: indices}
    if data.captions:
        batch |= text(types.TOKENS, types.MASK, types.SENTENCE)
    if data.mismatch == "image":
        batch[types.WRONG_IMAGES] = image()
    elif data.mismatch:
        batch |= text(types.WRONG_TOKENS, types.WRONG_MASK, types.WRONG_SENTENCE)
    return batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepBenchmark:
    """What `measure_step` found.

    images: of a step, over all its sub-batches.
    decoded_per_image: images that the pipeline decodes for each of them (mismatched ones too).
    parameters: by trained network. frozen: of all others together.
    compile_seconds: tracing and compiling, without any cache.
    seconds: of a step, its quartiles: (a quarter of the steps took less, half, three quarters).
    flops: of a step, as XLA counts the compiled program, on all devices together; None where the
      backend does not say.
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
    flops: float | None
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
    def flops_per_second(self) -> float | None:
        """Achieved by all devices together."""
        return None if self.flops is None else self.flops / self.seconds[1]


def measure_step(work: Workload, steps: int = 20, data_seconds: float = 3.0) -> StepBenchmark:
    """Compiles the step, times `steps` of it one by one, then the input pipeline.

    Every step is waited for. The batch is on the devices before (under pmap it travels along).
    data_seconds: how long the pipeline is timed; 0 leaves it out.
    """
    system, config = work.system, work.system.config
    before = _most_held()
    parallel = make_parallel(config.parallel, config.fsdp)
    state = fresh_state(system.recipe, work.options, work.batch, system.variables).values()
    sizes = {name: _size(tree) for name, tree in state.params.items()}
    frozen = system.in_step(system.variables)
    frozen_size = _size(frozen)
    state, frozen = parallel.put_state(state), parallel.put_state(frozen)
    stacked = {k: np.stack([v] * config.d_steps) for k, v in work.batch.items()}
    batch = parallel.put_batch(stacked)
    step = make_step(system.recipe, work.options, parallel.axis_name)
    with no_compilation_cache():
        begin = time.perf_counter()
        compiled: Compiled = parallel.compile(step, state, batch, frozen)
        compile_seconds = time.perf_counter() - begin
    times = _time(compiled.call, state, batch, frozen, steps)
    after = _most_held()
    pipeline = None
    if work.source is not None and data_seconds:
        pipeline = throughput.measure(work.data, system.tokenizer, data_seconds, source=work.source)
    device = jax.devices()[0]
    return StepBenchmark(
        system=config.system,
        device=device.device_kind,
        devices=jax.device_count(),
        parallel=config.parallel,
        dtype=config.dtype,
        images=work.data.batch * config.d_steps,
        decoded_per_image=2 if work.data.mismatch == "image" else 1,
        parameters=sizes,
        frozen=frozen_size,
        compile_seconds=compile_seconds,
        seconds=tuple(float(x) for x in np.quantile(times, (0.25, 0.5, 0.75))),
        # XLA's analyses are of the program that one device runs, under jit as under pmap.
        flops=None if compiled.flops is None else compiled.flops * jax.device_count(),
        program_bytes=compiled.peak_bytes,
        # The device's own mark never falls: what an earlier benchmark set says nothing here.
        device_bytes=after if after is not None and after > (before or 0) else None,
        pipeline=pipeline,
        notes=work.notes,
    )


def _time(step, state, batch, frozen, steps: int) -> list[float]:
    times = []
    for _ in range(_WARM_UP + steps):
        begin = time.perf_counter()
        state, metrics = jax.block_until_ready(step(state, batch, frozen))
        times.append(time.perf_counter() - begin)
    bad = [name for name, x in metrics.items() if not bool(jnp.all(jnp.isfinite(x)))]
    if bad:
        raise FloatingPointError(f"after {len(times)} steps on one batch {bad} is NaN or infinite")
    return times[_WARM_UP:]


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
