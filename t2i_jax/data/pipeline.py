"""Records of a prepared data set as an endless stream of training batches, by Grain.

The data order is a pure function of the seed and the position in the global stream (see
`record_order`). A process holds a contiguous slice of the rows of every global batch, and all
randomness of a row comes from Grain's generator for its global position: neither the number of
processes nor that of threads or worker processes changes what a global batch holds, and the state
of a pipeline is nothing but a number of batches.
"""

import os
import sys
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import grain
import numpy as np
from absl import flags

from t2i_jax.data import record_order
from t2i_jax.data.batches import BatchMaker
from t2i_jax.data.options import DataOptions
from t2i_jax.data.rows import RandomAccessSource, RowMaker
from t2i_jax.data.tokenizers import Tokenizer

__all__ = ["Batch", "DataOptions", "Pipeline", "RandomAccessSource", "make_pipeline", "open_source"]

Batch = dict[str, np.ndarray]


class Pipeline(Iterator[Batch]):
    """An endless iterator over this process's rows of the global batches.

    Batches are dicts of NumPy arrays by the keys of `t2i_jax.types`.
    """

    def __init__(
        self,
        source: RandomAccessSource,
        options: DataOptions,
        tokenizer: Tokenizer | None,
        *,
        process_index: int = 0,
        process_count: int = 1,
        sentences: np.ndarray | None = None,
    ):
        o = options
        _check_processes(o, process_index, process_count)
        if not len(source):
            raise ValueError(f"{o.title}: no records")
        self._num_records = len(source)
        self._options = o
        self._process = process_index, process_count
        # Seeds of our own: what Grain would derive depends on the shape of its graph.
        order_seed, row_seed = (int(x) for x in np.random.SeedSequence(o.seed).generate_state(2))
        self._sampling = record_order.chosen(o.sampling, source.labels)
        classes = record_order.ClassIndex(record_order.told_apart(source.labels))
        sampling = record_order.SAMPLINGS[self._sampling](
            classes, o.batch, order_seed, bool(o.mismatch), o.title
        )
        # Batches of local rows in the order of the global stream: process p of P has the batches
        # p, p + P, p + 2P, ... of them, which are its rows of the global batches 0, 1, 2, ...
        # They are batches before the iteration begins, so no worker process can mix their rows.
        rows = o.batch // process_count
        maker = BatchMaker(RowMaker(source, sampling, o, tokenizer, sentences), rows, row_seed)
        self._batches = grain.MapDataset.range(sys.maxsize // rows).map(maker)
        self._step = 0
        self._running: list[grain.DatasetIterator] = []
        # Where nobody closes: Grain's worker processes complain loudly when the program ends.
        weakref.finalize(self, _end, self._running)

    def batch_at(self, step: int) -> Batch:
        """The local rows of global batch `step`, made on the spot; the iteration doesn't move."""
        index, count = self._process
        return self._batches[step * count + index]

    def example_batch(self) -> Batch:
        """The first batch, for its shapes and types."""
        return self.batch_at(0)

    def state(self) -> dict[str, Any]:
        """Where the iteration stands, as plain JSON: the same for all processes."""
        return {"step": self._step, **self._order()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes to where `state` was taken, on any number of processes, threads and workers.

        Raises ValueError where the state belongs to another data order.
        """
        order = self._order()
        differing = [key for key in order if state.get(key) != order[key]]
        if differing:
            raise ValueError(
                "the saved position belongs to another data order: "
                + ", ".join(f"{key} was {state.get(key)!r}, is {order[key]!r}" for key in differing)
            )
        self.close()
        self._step = int(state["step"])

    def close(self) -> None:
        """Ends the threads and worker processes; iterating on starts new ones."""
        _end(self._running)

    def __iter__(self) -> "Pipeline":
        return self

    def __next__(self) -> Batch:
        if not self._running:
            self._running.append(self._start())
        batch = next(self._running[0])
        self._step += 1
        if self._options.workers:
            # Out of the shared memory, which Grain unmaps with the array. The copy carries weight:
            # on a CPU `parallel.put_batch` makes an array's own memory the device's.
            batch = {key: np.array(value, subok=False) for key, value in batch.items()}
        return batch

    def _order(self) -> dict[str, Any]:
        o = self._options
        return {
            "records": self._num_records,
            "batch": o.batch,
            "sampling": self._sampling,
            "seed": o.seed,
        }

    def _start(self) -> grain.DatasetIterator:
        o, (index, count) = self._options, self._process
        batches = self._batches.slice(slice(self._step * count + index, None, count))
        threads = 1 if o.workers else o.threads or min(_cores(), 16)
        reading = grain.ReadOptions(
            num_threads=threads, prefetch_buffer_size=max(o.prefetch, threads)
        )
        dataset = batches.to_iter_dataset(reading)
        if o.workers:
            if not flags.FLAGS.is_parsed():  # Grain reads an absl flag; its default will do
                flags.FLAGS.mark_as_parsed()
            dataset = dataset.mp_prefetch(
                grain.MultiprocessingOptions(
                    num_workers=o.workers, per_worker_buffer_size=o.prefetch
                )
            )
        return iter(dataset)


def make_pipeline(
    options: DataOptions,
    tokenizer: Tokenizer | None,
    *,
    process_index: int = 0,
    process_count: int = 1,
    sentences: np.ndarray | None = None,
    source: RandomAccessSource | None = None,
) -> Pipeline:
    """The pipeline of a prepared set.

    tokenizer: may be None where batches carry no tokens.
    sentences: float [N, C, E], precomputed vectors of the C captions of each of the N records
      (memory-mapped, as a rule); batches then carry `sentence`, the mean over the drawn captions,
      instead of tokens.
    source: the records, where they are not to be opened by ``options.name``.
    Raises ValueError for options that don't fit each other, the set or the number of processes.
    """
    return Pipeline(
        open_source(options) if source is None else source,
        options,
        tokenizer,
        process_index=process_index,
        process_count=process_count,
        sentences=sentences,
    )


def _end(running: list[grain.DatasetIterator]) -> None:
    while running:
        running.pop().close()


def open_source(options: DataOptions) -> RandomAccessSource:
    """The prepared split that the options name."""
    from t2i_jax.data import catalog  # takes a second, which worker processes need not spend

    return catalog.open_split(options.name, options.data_dir, options.split)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_processes(options: DataOptions, index: int, count: int) -> None:
    if not 0 <= index < count:
        raise ValueError(f"process_index={index} is not in [0, process_count={count})")
    if options.batch % count:
        raise ValueError(
            f"data.batch={options.batch} is the global batch; the {count} processes cannot share "
            "it in equal parts"
        )
