"""The tables for GitHub and for programs."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from t2i_jax.reporting import cost, overrides, table
from t2i_jax.reporting.gather import Sweep
from t2i_jax.reporting.markdown import plain, table_of


def markdown(sweep: Sweep, columns: Sequence[table.Column]) -> str:
    """The table of numbers and that of costs, with what the reader must know below them."""
    differing = overrides.differing(sweep)
    cells = [table.cells(sweep, column) for column in columns]
    best = [table.best(c, k.lower_is_better) for c, k in zip(cells, columns, strict=True)]
    rows = []
    for point in sweep.points:
        fields = [f"{field}={value}" for field, value in differing[point].items()]
        if rest := fields[overrides.SHOWN :]:
            fields = [*fields[: overrides.SHOWN], f"and {len(rest)} more, see report.csv"]
        seeds = "; ".join([str(len(sweep.of(point))), *sweep.unfinished(point)])
        row = [plain(point), plain(", ".join(fields)), plain(seeds)]
        for column, winner in zip(cells, best, strict=True):
            shown = plain(table.shown(column[point], table.layout(column)))
            row.append(f"**{shown}**" if point == winner else shown)
        rows.append(row)
    if any(column.real is not None for column in columns):
        row = ["real images", "", ""]
        for column, numbers in zip(columns, cells, strict=True):
            row.append("" if column.real is None else f"{column.real:{table.layout(numbers)}}")
        rows.append(row)
    heads = ["point", "overrides", "seeds", *(plain(column.label) for column in columns)]
    notes = [*sweep.notes, *table.remarks(columns)]
    return (
        "\n\n".join(
            [
                f"# {plain(sweep.title)}",
                table_of(heads, rows, numbers_from=2),
                table.RULE,
                *(["\n".join(f"- {plain(note)}" for note in notes)] if notes else []),
                "## Cost",
                table_of(*_costs(sweep), numbers_from=1),
            ]
        )
        + "\n"
    )


def _costs(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    heads = ["point", "runs", "steps", "wall time a run", "device time a run", "machine"]
    rows = []
    for point, known in cost.costs(sweep).items():
        if known is None:
            rows.append([plain(point), "0", *["not written down"] * 3, ""])
            continue
        times = [cost.duration(hours) for hours in (known.hours, known.device_hours)]
        numbers = [known.counted, known.span, *times]
        rows.append([plain(point), *numbers, plain(known.machine)])
    return heads, rows


def rows(sweep: Sweep, columns: Sequence[table.Column]) -> list[dict[str, Any]]:
    """A row a run, with all digits; nothing where there is no number."""
    differing = overrides.differing(sweep)
    fields = dict.fromkeys(field for values in differing.values() for field in values)
    found = []
    for run in sweep.runs:
        row: dict[str, Any] = {
            "point": run.point,
            "seed": run.seed,
            "workdir": str(run.workdir) if run.config else None,
            "state": run.state,
            "steps": run.last_step,
            "hours": run.cost and run.cost.hours,
            "device_hours": run.cost and run.cost.device_hours,
            "images": run.cost and run.cost.images,
            "machine": run.cost and run.cost.machine,
        }
        row |= {field: differing[run.point].get(field) for field in fields}
        for column in columns:
            value = column.values.get(run.key)
            row[f"{column.label} at step"] = value and value.step
            row[column.label] = value and value.number
        found.append(row)
    return found


def table_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as CSV; None is an empty field."""
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()
