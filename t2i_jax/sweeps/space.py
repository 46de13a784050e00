"""What the ``search()`` of a sweep file returns, checked."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from t2i_jax import config as configs
from t2i_jax.choices import check_choice
from t2i_jax.sweeps.entries import Entry, bare, plain
from t2i_jax.sweeps.ranges import Choice, Range

DIRECTIONS = ("minimize", "maximize")


@dataclasses.dataclass(frozen=True)
class Space:
    """What ``search()`` returns. ranges: by field. fixed: values of every trial, by field. metric:
    the name of a value in metrics.jsonl, or protocol/value of an evaluation. config: a config file
    in place of the command line's, or "".
    """

    ranges: Mapping[str, Range]
    fixed: Mapping[str, Any]
    metric: str
    direction: str
    config: str = ""

    def describe(self) -> dict[str, str]:
        """For sweep.json."""
        return {"metric": self.metric, "direction": self.direction}

    def entry(self, name: str, values: Mapping[str, Any]) -> Entry:
        """A trial with these values."""
        return Entry(name, {**self.fixed, **values}, self.config)

    def corners(self) -> list[Entry]:
        """Entries in which every bound and every choice stands once."""
        ends = {
            field: x.values if isinstance(x, Choice) else x.ends for field, x in self.ranges.items()
        }
        count = max(map(len, ends.values()))
        rows = ({field: x[min(i, len(x) - 1)] for field, x in ends.items()} for i in range(count))
        return [self.entry(f"corner_{i}", row) for i, row in enumerate(rows)]


def load(spec: str) -> Space:
    """The space of a sweep file.

    Raises FileNotFoundError and ValueError, in one line.
    """
    path, found = configs.locate(spec, "search")[0], configs.call(spec, "search")
    if not isinstance(found, Mapping):
        raise ValueError(f"the search() of {path} returns no dict of ranges by field")
    try:
        values = bare(found)
    except ValueError as error:
        raise ValueError(f"the search() of {path}: {error}") from error
    metric, direction = values.pop("metric", None), values.pop("direction", None)
    config = values.pop("config", "")
    if own := values.keys() & {"name", "seed"}:
        raise ValueError(f"the search() of {path} sets {min(own)!r}, which the search itself does")
    if not isinstance(metric, str) or not metric:
        raise ValueError(f"the search() of {path} names no 'metric'")
    check_choice(f"{path}: direction", direction, DIRECTIONS)
    try:
        space = Space(
            {k: v for k, v in values.items() if isinstance(v, Range)},
            {k: plain(v) for k, v in values.items() if not isinstance(v, Range)},
            metric,
            direction,
            config,
        )
    except ValueError as error:
        raise ValueError(f"the search() of {path}: {error}") from error
    if not space.ranges:
        raise ValueError(f"the search() of {path} gives no range: see t2i_jax.sweeps.ranges")
    return space
