"""The points of a sweep, entries times seeds, and the commands that train and evaluate them."""

import dataclasses
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from t2i_jax import arguments, paths
from t2i_jax.sweeps.entries import Entry

FOLDER = "{workdir}"  # in a value: where the runs of the same seed are
TRAIN = (sys.executable, "-m", "t2i_jax.train")
EVALUATE = (sys.executable, "-m", "t2i_jax.evaluate")
_USED = re.compile(r"\{workdir\}/([A-Za-z0-9_][A-Za-z0-9_.+=-]*)")


@dataclasses.dataclass(frozen=True)
class Point:
    """One training.

    name, seed: which one. overrides, groups: those of its `Entry`. config: with its argument.
    """

    name: str
    seed: int
    overrides: Mapping[str, Any] = dataclasses.field(hash=False)
    config: str
    groups: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Its run directory, from that of the sweep."""
        return f"seed{self.seed}/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Folders of the runs that its values name, which must have been trained."""
        named = (name for value in self.overrides.values() for name in _USED.findall(str(value)))
        return tuple(dict.fromkeys(f"seed{self.seed}/{name}" for name in named))


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What the command line asks for.

    config, sweep: the files, with their arguments. root: the folder of all runs. options: of every
    training, as ``--field=value``. evals: options of the evaluations of every finished run. train:
    the command that trains.
    """

    config: str
    sweep: str
    root: paths.Path
    options: tuple[str, ...] = ()
    evals: tuple[tuple[str, ...], ...] = ()
    train: tuple[str, ...] = TRAIN

    def points(self, entries: Iterable[Entry], seeds: Sequence[int]) -> list[Point]:
        """All entries from the first seed, then from the next."""
        return [self.point(entry, seed) for seed in seeds for entry in entries]

    def point(self, entry: Entry, seed: int) -> Point:
        """An entry from a seed. An entry's config file is given the command line's argument, where
        it has none of its own.
        """
        config, _, arg = self.config.partition(":")
        config = entry.config or config
        spec = config if ":" in config or not arg else f"{config}:{arg}"
        return Point(entry.name, seed, entry.overrides, spec, entry.groups)

    def run(self, point: Point) -> paths.Path:
        """Its run directory."""
        return self.root / point.folder

    def assignments(self, point: Point) -> list[str]:
        """All that is set on the command line of its training; its own values come last."""
        place = str(self.root / f"seed{point.seed}")
        own = {k: str(v).replace(FOLDER, place) for k, v in point.overrides.items()}
        values = (f"--{field}={value}" for field, value in own.items())
        return [*self.options, f"--seed={point.seed}", *values]

    def training(self, point: Point) -> list[str]:
        """The command that trains it, or goes on with it."""
        where = f"--workdir={self.run(point)}"
        return [*self.train, f"--config={point.config}", where, *self.assignments(point)]

    def evaluations(self, point: Point) -> list[list[str]]:
        """The commands that evaluate it, in the order of `evals`."""
        return [[*EVALUATE, f"--workdir={self.run(point)}", *given] for given in self.evals]


def seeds_of(text: str) -> tuple[int, ...]:
    """The seeds that ``--seeds`` means: "3" is 0, 1 and 2; "0,3,7" those; "7," the one.

    Raises ValueError for anything else.
    """
    try:
        numbers = [int(part) for part in text.split(",") if part or "," not in text]
    except ValueError:
        numbers = []
    count = "," not in text
    top = 1000 if count else arguments.SEED
    if (
        not numbers
        or len(set(numbers)) != len(numbers)
        or not all(int(count) <= n <= top for n in numbers)
    ):
        raise ValueError(
            f"--seeds={text}: write how many (at most 1000), or different seeds: 0,3,7 (one: 7,)"
        )
    return tuple(range(numbers[0])) if count else tuple(numbers)
