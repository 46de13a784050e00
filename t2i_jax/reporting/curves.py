"""What was logged and evaluated over the steps and over the cost of the runs of a sweep."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from t2i_jax.reporting.gather import Sweep
from t2i_jax.reporting.run_files import Cost, Run
from t2i_jax.reporting.table import Column, identity

_FIRST = "g/total"  # of what trainings log
_MOST = 300  # values of a line; of longer ones every k-th
Series = list[tuple[int, float]]  # steps and values


def curves(sweep: Sweep, columns: Sequence[Column]) -> dict[str, Any]:
    """The lines of every metric, JSON types.

    ``{"points": [names], "grids": [steps or hours], "metrics": {name: [lines]}}``; a line is
    ``{"point": its place, "seed": text or None for the mean, "steps": place of a grid, "hours":
    the same, or None where the cost is unknown, "values": [...]}``.
    """
    grids: dict[tuple[float, ...], int] = {}
    metrics: dict[str, list[dict]] = {}
    for name, by_run in {**_evaluated(sweep, columns), **_logged(sweep)}.items():
        metrics[name] = []
        longest = max(map(len, by_run.values()))
        for place, point in enumerate(sweep.points):
            having = [run for run in sweep.of(point) if run.key in by_run]
            thin = [by_run[run.key][:: -(-longest // _MOST)] for run in having]
            for line in _lines(having, thin):
                for axis in ("steps", "hours"):
                    if line[axis] is not None:
                        line[axis] = grids.setdefault(tuple(line[axis]), len(grids))
                metrics[name].append({"point": place, **line})
    return {"points": list(sweep.points), "grids": [list(g) for g in grids], "metrics": metrics}


def _lines(runs: Sequence[Run], series: Sequence[Series]) -> list[dict[str, Any]]:
    """A line of each seed of a point and, of several, their mean at the steps that all have."""
    lines = []
    for run, points in zip(runs, series, strict=True):
        steps = [step for step, _ in points]
        hours = None if run.cost is None else device_hours(run.cost, steps)
        values = [float(f"{value:.5g}") for _, value in points]
        lines.append({"seed": run.seed, "steps": steps, "hours": hours, "values": values})
    if len(lines) < 2:
        return lines
    common = sorted(set.intersection(*(set(line["steps"]) for line in lines)))
    if not common:
        return lines
    mean = {"seed": None, "steps": common}
    for axis in ("hours", "values"):
        known = all(line[axis] is not None for line in lines)
        tables = [dict(zip(line["steps"], line[axis], strict=True)) for line in lines if known]
        mean[axis] = (
            [float(f"{statistics.fmean(t[s] for t in tables):.5g}") for s in common]
            if known
            else None
        )
    return [*lines, mean]


def _logged(sweep: Sweep) -> dict[str, dict[tuple[str, str], Series]]:
    """The metrics of ``metrics.jsonl`` by name and run."""
    found: dict[str, dict[tuple[str, str], Series]] = {}
    for run in sweep.runs:
        for row in run.rows:
            for name, value in row.items():
                if name != "step" and value is not None and math.isfinite(value):
                    found.setdefault(name, {}).setdefault(run.key, []).append((row["step"], value))
    return dict(
        sorted(found.items(), key=lambda item: (item[0] != _FIRST, "/" not in item[0], item[0]))
    )


def _evaluated(sweep: Sweep, columns: Sequence[Column]) -> dict[str, dict[tuple[str, str], Series]]:
    """Columns of the table that a run has at several steps."""
    found = {}
    for column in columns:
        by_run = {}
        for run in sweep.runs:
            at = {
                record.step: record.values[column.name]
                for record in run.records
                if (record.protocol, identity(record)) == (column.protocol, column.identity)
                and record.step is not None
                and record.values.get(column.name) is not None
            }
            if at:
                by_run[run.key] = sorted(at.items())
        if any(len(series) > 1 for series in by_run.values()):
            found[column.label] = by_run
    return found


def device_hours(cost: Cost, steps: Sequence[int]) -> list[float] | None:
    """What a run had cost when it had done these steps, by the steps and hours of each start; past
    the last of them at its pace. None where no start has done a step.
    """
    at, spent, pace = [0.0], [0.0], 0.0
    for begin, end, hours in cost.starts:
        at += [float(max(begin, at[-1])), float(max(end, at[-1]))]
        spent += [spent[-1], spent[-1] + hours]
        pace = hours / (end - begin) if end > begin else pace
    if not pace:
        return None
    after = np.maximum(np.asarray(steps) - at[-1], 0) * pace
    return [float(f"{hours:.5g}") for hours in np.interp(steps, at, spent) + after]
