"""The numbers of a sweep's points: means over seeds, and which of them are the best."""

import dataclasses
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from t2i_jax import config as configs
from t2i_jax.choices import check_choice
from t2i_jax.evaluation.results import OF_REAL, Record
from t2i_jax.reporting.gather import Sweep
from t2i_jax.reporting.overrides import text
from t2i_jax.reporting.run_files import Run

RULE = (
    "A number is the mean over the seeds of a point ± their sample standard deviation; (1 of 2) "
    "stands where not every seed has one. Of each run it is that of the latest checkpoint that was "
    "evaluated, and the latest such evaluation. Bold: the best mean among the points that have a "
    "number, where the intervals mean ± deviation of all others lie apart from its own, and the "
    "means themselves by more than the deviation within an evaluation, where evaluations have one; "
    "never where one of these points has a number of less than two seeds. A deviation over two or "
    "three seeds may be small by chance. Real images: the same number with them in place of the "
    "samples. Numbers of another protocol, or of the same protocol under other conditions, have "
    "columns of their own."
)
# Conditions that do not part columns: which run and checkpoint, words that may name a path (digests
# stand beside them), and versions, which are named instead.
_OF_THE_RUN = ("run", "extractor_description")
PACKAGES = "packages"
_DIGITS = 4  # of the largest mean of a column
_SMALL = 1e-3  # below it that mean would have more zeros behind the point than digits


class Value(NamedTuple):
    """A number of a run. spread: its deviation over the splits of the evaluation."""

    number: float | None
    step: int | None
    spread: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """A number of a protocol, under one set of conditions.

    identity: its conditions, see `identity`.
    differs: in what these differ from the protocol's other columns of that name, in words.
    values: by point and seed, of the runs that have it.
    packages: the versions that the evaluations ran with.
    real: the mean of the number that real images have in the samples' place, if any.
    """

    protocol: str
    name: str
    identity: str
    differs: str
    lower_is_better: bool
    values: Mapping[tuple[str, str], Value]
    packages: tuple[str, ...] = ()
    real: float | None = None

    @property
    def metric(self) -> str:
        """Protocol and name, which columns of other conditions share."""
        return f"{self.protocol}/{self.name}"

    @property
    def label(self) -> str:
        """Protocol, name and direction, and the conditions where others exist."""
        differs = f" [{self.differs}]" if self.differs else ""
        return f"{self.protocol}: {self.name}{differs} {self.arrow}"

    @property
    def arrow(self) -> str:
        """Where better values are."""
        return "↓" if self.lower_is_better else "↑"

    @property
    def conditions(self) -> dict[str, Any]:
        """By dotted name."""
        return json.loads(self.identity)

    @property
    def steps(self) -> list[int]:
        """Of the checkpoints that were evaluated."""
        return sorted({v.step for v in self.values.values() if v.step is not None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """The numbers of a point by seed, and why others are missing."""

    values: Mapping[str, Value]
    missing: Mapping[str, str]

    @property
    def numbers(self) -> list[float]:
        """A seed each."""
        return [value.number for value in self.values.values()]

    @property
    def mean(self) -> float | None:
        """Over the seeds; None without any."""
        return statistics.fmean(self.numbers) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation over the seeds; None for less than two."""
        return statistics.stdev(self.numbers) if len(self.values) > 1 else None

    @property
    def within(self) -> float:
        """The largest deviation within an evaluation; 0 where evaluations have none."""
        return max((value.spread or 0.0 for value in self.values.values()), default=0.0)

    def lies_apart(self, other: "Cell") -> bool:
        """Whether seeds and evaluations, at least two of each cell, tell the means apart: see
        `RULE`.
        """
        reach = max(self.deviation + other.deviation, self.within, other.within)
        return abs(self.mean - other.mean) > reach


def columns(sweep: Sweep) -> list[Column]:
    """All columns, those of one protocol beside each other."""
    groups: dict[str, dict[str, dict[tuple[str, str], Record]]] = {}
    for run in sweep.runs:
        for (protocol, conditions), record in _latest(run).items():
            groups.setdefault(protocol, {}).setdefault(conditions, {})[run.key] = record
    found = []
    for protocol, variants in sorted(groups.items()):
        differences = _differences([json.loads(conditions) for conditions in variants])
        names = dict.fromkeys(
            name
            for records in variants.values()
            for r in records.values()
            for name in r.values
            if not name.endswith(OF_REAL)
        )
        for name in names:
            for (conditions, records), differs in zip(variants.items(), differences, strict=True):
                having = {key: r for key, r in records.items() if name in r.values}
                if having:
                    found.append(_column(protocol, name, conditions, differs, having))
    return found


def _column(
    protocol: str, name: str, conditions: str, differs: str, records: Mapping[Any, Record]
) -> Column:
    packages = (json.dumps(r.conditions.get(PACKAGES), sort_keys=True) for r in records.values())
    real = [r.values.get(f"{name}{OF_REAL}") for r in records.values()]
    real = [value for value in real if value is not None]
    return Column(
        protocol=protocol,
        name=name,
        identity=conditions,
        differs=differs,
        lower_is_better=any(name in record.lower_is_better for record in records.values()),
        values={
            key: Value(r.values[name], r.step, r.spreads.get(name)) for key, r in records.items()
        },
        packages=tuple(dict.fromkeys(p for p in packages if p != "null")),
        real=statistics.fmean(real) if real else None,
    )


def picked(columns: Sequence[Column], metrics: Sequence[str]) -> list[Column]:
    """The columns of some metrics, ``PROTOCOL/NAME``, in their order, under all conditions.

    Raises ValueError for one that no run has.
    """
    known = dict.fromkeys(column.metric for column in columns)
    for metric in metrics:
        if not known:
            raise ValueError(f"--columns={metric}: no run has been evaluated, there are no columns")
        check_choice("each of --columns", metric, known)
    return [c for metric in dict.fromkeys(metrics) for c in columns if c.metric == metric]


def identity(record: Record) -> str:
    """The conditions of a record, as the text that is the same where numbers may be compared."""
    apart = (PACKAGES, *_OF_THE_RUN)
    kept = {k: v for k, v in record.conditions.items() if k not in apart}
    return json.dumps(configs.flatten(kept), sort_keys=True)


def _latest(run: Run) -> dict[tuple[str, str], Record]:
    """Of each protocol and conditions the record of the highest step, the last written of these."""
    latest: dict[tuple[str, str], Record] = {}
    for record in run.records:
        key = record.protocol, identity(record)
        if key not in latest or _at(record) >= _at(latest[key]):
            latest[key] = record
    return latest


def _at(record: Record) -> int:
    return -1 if record.step is None else record.step


def _differences(variants: list[dict[str, Any]]) -> list[str]:
    """What sets each of some conditions apart from the others; nothing where there is one."""
    fields = sorted({field for conditions in variants for field in conditions})
    absent = object()
    parting = [
        field
        for field in fields
        if any(c.get(field, absent) != variants[0].get(field, absent) for c in variants)
    ]
    return [
        ", ".join(f"{f}={text(c[f])}" if f in c else f"no {f}" for f in parting) for c in variants
    ]


def cells(sweep: Sweep, column: Column) -> dict[str, Cell]:
    """A column's cells by point."""
    found = {}
    for point in sweep.points:
        values, missing = {}, {}
        for run in sweep.of(point):
            value = column.values.get(run.key)
            if value is not None and value.number is not None:
                values[run.seed] = value
            else:
                missing[run.seed] = _why(run, column, value)
        found[point] = Cell(values=values, missing=missing)
    return found


def _why(run: Run, column: Column, value: Value | None) -> str:
    if value is not None:
        return "no meaning here"
    if run.status:
        return run.status
    if any(record.protocol == column.protocol for record in run.records):
        return "not evaluated under these conditions"
    return "not evaluated"


def best(cells: Mapping[str, Cell], lower_is_better: bool) -> str | None:
    """The point in bold, if there is one: see `RULE`."""
    having = {point: cell for point, cell in cells.items() if cell.values}
    if len(having) < 2 or any(cell.deviation is None for cell in having.values()):
        return None
    sign = 1 if lower_is_better else -1
    (first, winner), *others = sorted(having.items(), key=lambda item: sign * item[1].mean)
    return first if all(winner.lies_apart(cell) for _, cell in others) else None


def layout(cells: Mapping[str, Cell]) -> str:
    """How a column's numbers are written, as a format: with the places behind the point that give
    its largest mean four digits; with an exponent where that mean is below 1e-3.
    """
    largest = max((abs(cell.mean) for cell in cells.values() if cell.values), default=0.0)
    if 0 < largest < _SMALL:
        return f".{_DIGITS - 1}e"
    digits = _DIGITS - 1 - math.floor(math.log10(largest)) if largest else 0
    return f".{max(digits, 0)}f"


def shown(cell: Cell, layout: str) -> str:
    """``"12.30 ± 0.41"``, with the number of seeds where some have none; why, where all have."""
    seeds = len(cell.values) + len(cell.missing)
    if not cell.values:
        return "; ".join(dict.fromkeys(cell.missing.values())) or "no run"
    spread = "" if cell.deviation is None else f" ± {cell.deviation:{layout}}"
    count = "" if not cell.missing else f" ({len(cell.values)} of {seeds})"
    return f"{cell.mean:{layout}}{spread}{count}"


def details(cell: Cell) -> Iterator[str]:
    """A line a seed, with all digits."""
    for seed, value in cell.values.items():
        spread = "" if value.spread is None else f" ± {value.spread:.4g} within the evaluation"
        step = "" if value.step is None else f", step {value.step:,}"
        yield f"seed {seed}: {value.number:.8g}{spread}{step}"
    for seed, why in cell.missing.items():
        yield f"seed {seed}: {why}"


def remarks(columns: list[Column]) -> list[str]:
    """What a reader of the table must know of its columns beyond `RULE`."""
    lines = []
    for column in columns:
        if len(column.steps) > 1:
            steps = ", ".join(f"{step:,}" for step in column.steps)
            lines.append(f"{column.label}: the runs were evaluated at different steps ({steps})")
        if len(column.packages) > 1:
            versions = " and ".join(column.packages)
            lines.append(f"{column.label}: measured with different versions: {versions}")
    return lines
