"""How many images a second an input pipeline gives, and where its time goes."""

import dataclasses
import multiprocessing
import os
import pathlib
import time
from collections.abc import Callable, Mapping

import numpy as np

from t2i_jax import types
from t2i_jax.data.options import DataOptions
from t2i_jax.data.pipeline import RandomAccessSource, make_pipeline, open_source
from t2i_jax.data.tokenizers import Tokenizer

_SAMPLE = 256  # records that the stages are timed on


@dataclasses.dataclass(frozen=True, kw_only=True)
class Throughput:
    """What `measure` found.

    images: given by the pipeline while it was timed; mismatched images count too.
    seconds: of the clock.
    cpu_seconds: of all cores, worker processes included; NaN where these cannot be read.
    stages: CPU milliseconds an image by stage, of one thread on its own: "read" (the record from
      disk), "decode" (with the box crop), "transform" (resize, crop, flip), "text" (choosing and
      tokenizing the captions of a row). The rest of `cpu_seconds` is Grain's and the batching.
    """

    images: int
    seconds: float
    cpu_seconds: float
    stages: Mapping[str, float]

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds

    @property
    def images_per_cpu_second(self) -> float:
        return self.images / self.cpu_seconds

    @property
    def decode_share(self) -> float:
        """The part of an image's CPU time that goes into decoding."""
        return self.stages["decode"] / 1e3 * self.images_per_cpu_second


def measure(
    options: DataOptions,
    tokenizer: Tokenizer | None,
    seconds: float = 5.0,
    *,
    source: RandomAccessSource | None = None,
) -> Throughput:
    """Runs the pipeline of `options` for about `seconds`, as fast as it goes.

    Timing begins when threads or workers are up and their first batches are out.
    source: as for `make_pipeline`.
    """
    if source is None:
        source = open_source(options)
    stages = _stages(source, options, tokenizer)
    pipeline = make_pipeline(options, tokenizer, source=source)
    try:
        for _ in range(2 * max(options.prefetch, 1) * max(options.workers, 1)):
            next(pipeline)
        images, begin, cpu = 0, time.perf_counter(), _cpu_seconds()
        while time.perf_counter() - begin < seconds or not images:
            batch = next(pipeline)
            images += sum(len(batch[k]) for k in (types.IMAGES, types.WRONG_IMAGES) if k in batch)
        return Throughput(
            images=images,
            seconds=time.perf_counter() - begin,
            cpu_seconds=_cpu_seconds() - cpu,
            stages=stages,
        )
    finally:
        pipeline.close()


def _stages(source: RandomAccessSource, options: DataOptions, tokenizer) -> dict[str, float]:
    rng = np.random.default_rng(0)
    transform = options.image_transform
    chosen = rng.integers(len(source), size=_SAMPLE)

    def timed(function: Callable, arguments: list) -> float:
        """Nothing is kept: new memory for every image costs a third of its time."""
        begin = time.thread_time()
        for x in arguments:
            function(x)
        return (time.thread_time() - begin) / len(arguments) * 1e3

    read = timed(lambda i: source[int(i)], list(chosen))
    records = [source[int(i)] for i in chosen]
    decode = timed(lambda r: transform.decode(r["image"], r.get("bbox")), records)
    whole = timed(lambda r: transform(r["image"], r.get("bbox"), rng), records)
    stages = {"read": read, "decode": decode, "transform": max(whole - decode, 0.0)}
    if options.captions and options.text == "tokens" and tokenizer is not None:
        stages["text"] = timed(
            lambda r: tokenizer.encode(r["captions"][: options.captions]), records
        )
    return stages


def _cpu_seconds() -> float:
    """CPU time so far of this process and of its live child processes."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        total += _child_seconds(child.pid)
    return total


def _child_seconds(pid: int) -> float:
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return float("nan")
