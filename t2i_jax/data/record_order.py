"""Which records make a global batch.

The global stream is an infinite sequence of records; position k of it is row ``k % batch`` of
global batch ``k // batch``. A `Sampler` says what stands at a position, as a pure function of the
seed and the position:

  "epoch": every record once a pass, in a new global shuffle each pass; batches straddle the ends
    of passes, so no record is dropped.
  "class_balanced": two different classes, uniformly, and a uniform record of each; the second is
    the mismatched partner (the sampling of GAN-CLS's public code).
  "distinct_classes": a batch holds distinct classes, one uniform record of each (the training of
    char-CNN-RNN).
"""

import numpy as np

SAMPLINGS = ("epoch", "class_balanced", "distinct_classes")


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

    _KEPT = 64  # at least as many as there are threads: "distinct_classes" has one a batch

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


def order(sampling: str, classes: ClassIndex, records: int, batch: int, seed: int) -> Shuffle:
    """The elements of the global stream by position; `pick` turns each into records."""
    if sampling == "distinct_classes":  # the first rows of a new permutation for each batch
        return Shuffle(classes.num_classes, batch, seed)
    return Shuffle(records, records, seed)  # "class_balanced" makes no use of it


def pick(
    sampling: str, classes: ClassIndex, element: int, rng: np.random.Generator, partner: bool
) -> tuple[int, int | None]:
    """The record at a position and, where `partner` is asked for, its mismatched record."""
    if sampling == "class_balanced":
        return classes.draw_pair(rng)
    record = classes.draw(element, rng) if sampling == "distinct_classes" else int(element)
    return record, classes.draw_other(record, rng) if partner else None


def check(sampling: str, classes: ClassIndex, batch: int, partner: bool, where: str) -> None:
    """Raises ValueError where the records cannot be sampled so. `where` names them."""
    if sampling != "epoch" and classes.num_classes == 0:
        raise ValueError(
            f"sampling={sampling!r} needs a class for every record; {where} has records without"
        )
    if sampling == "class_balanced" and classes.num_classes < 2:
        raise ValueError(f"sampling={sampling!r} needs two classes, and {where} has one")
    if sampling == "distinct_classes" and batch > classes.num_classes:
        raise ValueError(
            f"sampling={sampling!r}: batch={batch}, but {where} has {classes.num_classes} classes; "
            "a batch holds each class at most once"
        )
    if partner and not classes.all_have_others():
        raise ValueError(f"mismatched pairs need two classes (or two records), and {where} has one")
