"""In what the points of a sweep differ."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from t2i_jax.reporting.gather import Sweep

# Of a run, not of its point.
_OF_THE_RUN = ("seed", "data.seed")
SHOWN = 6  # of a point, where there is no room for all


def differing(sweep: Sweep) -> dict[str, dict[str, str]]:
    """Of each point the fields that are not the same in all of them, as text.

    They are those that the sweep wrote down; without these, those in which the configs differ, runs
    of one seed being compared with each other: a path may name the seed.
    """
    if sweep.overrides is not None:
        given = {point: sweep.overrides[point] for point in sweep.points}
        fields = dict.fromkeys(field for values in given.values() for field in values)
        shown = [f for f in fields if len(given) == 1 or _distinct(given, f) > 1]
        return {
            point: {field: text(values[field]) for field in shown if field in values}
            for point, values in given.items()
        }
    configs = {p: {r.seed: r.config for r in sweep.of(p) if r.config} for p in sweep.points}
    fields = {f for runs in configs.values() for config in runs.values() for f in config}
    fields = sorted(fields, key=lambda field: (field != "system", field))
    pairs = list(itertools.combinations([runs for runs in configs.values() if runs], 2))
    shown = [
        field
        for field in fields
        if field not in _OF_THE_RUN and any(_differ(a, b, field) for a, b in pairs)
    ]
    return {
        point: {f: _values(runs, f) for f in shown if any(f in config for config in runs.values())}
        for point, runs in configs.items()
    }


def text(value: Any) -> str:
    """A value of a config as people read it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _distinct(given: Mapping[str, Mapping[str, Any]], field: str) -> int:
    return len({text(values[field]) if field in values else None for values in given.values()})


def _differ(a: Mapping[str, Mapping], b: Mapping[str, Mapping], field: str) -> bool:
    common = a.keys() & b.keys()
    if not common:
        return next(iter(a.values())).get(field) != next(iter(b.values())).get(field)
    return any(a[seed].get(field) != b[seed].get(field) for seed in common)


def _values(runs: Mapping[str, Mapping[str, Any]], field: str) -> str:
    """The value of a point, or those of its seeds."""
    values = dict.fromkeys(text(config[field]) for config in runs.values() if field in config)
    return " | ".join(values)
