"""Which records make a batch, and in which order a training sees them.

A training reads an endless stream of records: the record at position k of the stream is row
``k % batch`` of global batch ``k // batch``. The classes `Epoch`, `ClassBalanced` and
`DistinctClasses` each decide, in their own way, which record stands at a position; the config's
field ``data.sampling`` names one of them, or leaves it to `chosen`. The answer depends on nothing
but the seed, the position and the random generator of that position, so batches may be made in any
order and on any number of processes.
"""

from typing import ClassVar

import numpy as np

AUTO = "auto"  # a value of ``data.sampling``, see `chosen`


def told_apart(labels: np.ndarray) -> np.ndarray:
    """The labels, int [N], each -1 ("no class") where all records are of one class: that tells no
    record from another, so no pair of them would be mismatched.
    """
    labels = np.asarray(labels)
    return np.full_like(labels, -1) if len(labels) and (labels == labels[0]).all() else labels


def identities(labels: np.ndarray) -> np.ndarray:
    """A number for the class of each record, int32 [N]; a record without one is a class of its own,
    with a number beyond those of the classes.
    """
    labels = told_apart(labels)
    alone = labels.max(initial=-1) + 1 + np.arange(len(labels))
    return np.where(labels < 0, alone, labels).astype(np.int32)


def chosen(sampling: str, labels: np.ndarray) -> str:
    """The sampling that is meant: of `AUTO` "class_balanced" where every record has a class and
    there are two or more, else "epoch".
    """
    if sampling != AUTO:
        return sampling
    classes = ClassIndex(told_apart(labels))
    return (ClassBalanced if classes.num_classes > 1 else Epoch).name


class ClassIndex:
    """The records of each class, and draws from them.

    labels: int array [N]; a negative label means "no class", and such a record is its own class.
    """

    def __init__(self, labels: np.ndarray):
        labels = np.asarray(labels)
        self._order = np.argsort(labels, kind="stable").astype(np.int64)
        _, begin, count = np.unique(labels[self._order], return_index=True, return_counts=True)
        self._begin, self._count = begin.astype(np.int64), count.astype(np.int64)
        self._place = np.empty(len(labels), np.int64)  # of a record in the order
        self._place[self._order] = np.arange(len(labels))
        self._class = np.searchsorted(self._begin, self._place, side="right") - 1
        self._has_class = labels >= 0
        self.num_records = len(labels)
        self.num_classes = len(begin) if self._has_class.all() else 0

    def draw(self, which: int, rng: np.random.Generator) -> int:
        """A uniform record of the class with rank `which` among the classes that occur."""
        return int(self._order[self._begin[which] + rng.integers(self._count[which])])

    def draw_pair(self, rng: np.random.Generator) -> tuple[int, int]:
        """Uniform records of two different uniform classes."""
        first = int(rng.integers(self.num_classes))
        second = int(rng.integers(self.num_classes - 1))
        return self.draw(first, rng), self.draw(second + (second >= first), rng)

    def draw_other(self, record: int, rng: np.random.Generator) -> int:
        """A uniform record of another class than that of `record`; another record where it has
        none.
        """
        if self._has_class[record]:
            begin = self._begin[self._class[record]]
            count = self._count[self._class[record]]
        else:
            begin, count = self._place[record], 1
        place = rng.integers(len(self._order) - count)
        return int(self._order[place + (count if place >= begin else 0)])

    def all_have_others(self) -> bool:
        """Whether every record has a record of another class."""
        counts = np.where(self._has_class, self._count[self._class], 1)
        return bool(counts.max(initial=0) < len(self._order))


class Shuffle:
    """Position of the stream -> element: permutations of ``range(length)``, one after another.

    take: how many elements of each permutation are used, the first ones.

    A permutation takes milliseconds even for millions of records and is kept while it is read.
    Grain's own shuffle needs no memory, but 0.2 to 10 ms an element for sets or classes by the
    hundreds and fewer.
    """

    _KEPT = 64  # at least as many as there are threads: `DistinctClasses` has one a batch

    def __init__(self, length: int, take: int, seed: int):
        self._length, self._take, self._seed = length, take, seed
        self._orders: dict[int, np.ndarray] = {}

    def __getitem__(self, position: int) -> int:
        number, place = divmod(position, self._take)
        order = self._orders.get(number)
        if order is None:
            bits = np.random.Philox(key=np.array([self._seed, number], np.uint64))
            order = np.random.Generator(bits).permutation(self._length).astype(np.int32)
            # Passes over large sets are read one after the other, so few are worth their memory.
            if len(self._orders) >= (self._KEPT if self._length < 10_000 else 2):
                self._orders = {}
            self._orders[number] = order
        return int(order[place])


class Sampling:
    """One way of choosing the record at each position of the stream.

    classes: the classes of the records.
    batch: rows of a global batch.
    seed: of the order, in [0, 2**64).
    partner: whether each record comes with a mismatched one, of another class.
    title: the records' name in messages.
    Raises ValueError where the records cannot be sampled so.
    """

    name: ClassVar[str]  # the value of ``data.sampling``

    def __init__(self, classes: ClassIndex, batch: int, seed: int, partner: bool, title: str):
        self._classes, self._partner = classes, partner
        if partner and not classes.all_have_others():
            raise ValueError(
                f"mismatched pairs need two classes (or two records), and {title} has one"
            )

    def draw(self, position: int, rng: np.random.Generator) -> tuple[int, int | None]:
        """The record at a position and its mismatched record, which is None without `partner`.

        rng: the generator of that position.
        """
        record = self._record(position, rng)
        return record, self._classes.draw_other(record, rng) if self._partner else None

    def _record(self, position: int, rng: np.random.Generator) -> int:
        raise NotImplementedError

    def _need_classes(self, title: str) -> None:
        if self._classes.num_classes == 0:
            raise ValueError(
                f"data.sampling={self.name!r} needs a class for every record; {title} has records "
                "without: set data.sampling='auto', or 'epoch', which needs none"
            )


class Epoch(Sampling):
    """Every record once a pass, in a new global shuffle each pass; batches straddle the ends of
    passes, so no record is dropped.
    """

    name = "epoch"

    def __init__(self, classes: ClassIndex, batch: int, seed: int, partner: bool, title: str):
        super().__init__(classes, batch, seed, partner, title)
        self._shuffle = Shuffle(classes.num_records, classes.num_records, seed)

    def _record(self, position: int, rng: np.random.Generator) -> int:
        return self._shuffle[position]


class ClassBalanced(Sampling):
    """Two different classes, uniformly, and a uniform record of each; the second is the mismatched
    record. This is the sampling of GAN-CLS's public code.
    """

    name = "class_balanced"

    def __init__(self, classes: ClassIndex, batch: int, seed: int, partner: bool, title: str):
        super().__init__(classes, batch, seed, partner, title)
        self._need_classes(title)
        if classes.num_classes < 2:
            raise ValueError(
                f"data.sampling={self.name!r} needs two classes, and {title} has "
                "one: set data.sampling='epoch'"
            )

    def draw(self, position: int, rng: np.random.Generator) -> tuple[int, int | None]:
        """See `Sampling.draw`; the position makes no difference beyond its generator."""
        record, other = self._classes.draw_pair(rng)
        return record, other if self._partner else None


class DistinctClasses(Sampling):
    """A batch holds distinct classes, one uniform record of each: the training of char-CNN-RNN."""

    name = "distinct_classes"

    def __init__(self, classes: ClassIndex, batch: int, seed: int, partner: bool, title: str):
        super().__init__(classes, batch, seed, partner, title)
        self._need_classes(title)
        if batch > classes.num_classes:
            raise ValueError(
                f"data.sampling={self.name!r}: batch={batch}, but {title} has "
                f"{classes.num_classes} classes, and a batch holds each at most once: set "
                f"data.batch={classes.num_classes}, or data.sampling='epoch'"
            )
        # A new permutation of the classes for each batch, of which it takes the first ones.
        self._shuffle = Shuffle(classes.num_classes, batch, seed)

    def _record(self, position: int, rng: np.random.Generator) -> int:
        return self._classes.draw(self._shuffle[position], rng)


SAMPLINGS = {cls.name: cls for cls in (Epoch, ClassBalanced, DistinctClasses)}
