"""The tables of the page: sorted by a click on a head, their columns hidden by a box."""

from collections.abc import Sequence
from typing import NamedTuple

from t2i_jax.reporting import cost, overrides, table
from t2i_jax.reporting.gather import Sweep
from t2i_jax.reporting.markup import Markup, element, joined


class Head(NamedTuple):
    """The head of a column.

    number: whether it is sorted as numbers. above, below: in small letters.
    """

    name: str
    number: bool = True
    above: str = ""
    below: str = ""


class Shown(NamedTuple):
    """What a cell shows. value: to sort by; None for what is missing and stays last."""

    content: Markup | str
    value: str | float | None
    kind: str = ""
    title: str = ""


def html(name: str, heads: Sequence[Head], rows: dict[str, list[Shown]], mark=None) -> Markup:
    """A table with its boxes; the first column is that of the points' names.

    name: the id of the table. mark: point -> what stands before its name.
    """
    boxes = [
        element(
            "label",
            element("input", type="checkbox", checked=True, data_table=name, data_column=i),
            f" {head.above} {head.name} {head.below}",
        )
        for i, head in enumerate(heads)
        if i
    ]
    body = [
        element(
            "tr",
            element("th", mark(point) if mark else "", point, scope="row", data_value=point),
            *(
                element("td", c.content, class_=c.kind, data_value=c.value, title=c.title or None)
                for c in cells
            ),
            data_point=point,
        )
        for point, cells in rows.items()
    ]
    return joined(
        [
            element("details", element("summary", "columns"), *boxes, class_="columns"),
            element(
                "div",
                element(
                    "table",
                    element("thead", element("tr", *map(_head, heads))),
                    element("tbody", *body),
                    id=name,
                ),
                class_="scroll",
                tabindex=0,
            ),
        ]
    )


def _head(head: Head) -> Markup:
    return element(
        "th",
        element("small", head.above) if head.above else "",
        element("button", head.name, type="button", title="sort"),
        element("small", head.below) if head.below else "",
        scope="col",
        data_kind="number" if head.number else "text",
        class_="number" if head.number else None,
    )


def results(sweep: Sweep, columns: Sequence[table.Column], mark) -> Markup:
    """The table of numbers."""
    differing = overrides.differing(sweep)
    heads = [Head("point", number=False), Head("overrides", number=False), Head("seeds")]
    rows = {point: [_overrides(differing[point]), _seeds(sweep, point)] for point in sweep.points}
    for column in columns:
        cells = table.cells(sweep, column)
        winner = table.best(cells, column.lower_is_better)
        layout = table.layout(cells)
        heads.append(_column(column, layout))
        for point, cell in cells.items():
            rows[point].append(_number(cell, layout, point == winner))
    return html("results", heads, rows, mark)


def _column(column: table.Column, layout: str) -> Head:
    steps = [f"{step:,}" for step in column.steps]
    at = f"step {steps[0]}" if len(steps) == 1 else f"steps {' to '.join(steps[:1] + steps[-1:])}"
    real = "" if column.real is None else f"real images {column.real:{layout}}"
    below = [column.differs, at if steps else "", real]
    return Head(
        f"{column.name} {column.arrow}", above=column.protocol, below="; ".join(filter(None, below))
    )


def _overrides(fields: dict[str, str]) -> Shown:
    lines = [element("code", f"{field}={value}") for field, value in fields.items()]
    content = joined(lines[: overrides.SHOWN])
    if rest := lines[overrides.SHOWN :]:
        more = element("summary", f"{len(rest)} more")
        content = joined([content, element("details", more, *rest)])
    return Shown(content, " ".join(f"{f}={v}" for f, v in fields.items()) or None, "overrides")


def _seeds(sweep: Sweep, point: str) -> Shown:
    seeds = len(sweep.of(point))
    lines = [element("div", line, class_="missing") for line in sweep.unfinished(point)]
    return Shown(joined([str(seeds), *lines]), seeds, "number")


def _number(cell: table.Cell, layout: str, best: bool) -> Shown:
    lines = list(table.details(cell))
    every = element("span", *_broken(lines), class_="seeds")
    shown = table.shown(cell, layout)
    if not cell.values:
        return Shown(joined([shown, every]), None, "missing", "\n".join(lines))
    content = joined([element("strong", shown) if best else shown, every])
    return Shown(content, cell.mean, "number best" if best else "number", "\n".join(lines))


def _broken(lines: Sequence[str]) -> list[Markup | str]:
    return [part for line in lines for part in (element("br"), line)][1:]


def costs(sweep: Sweep) -> Markup:
    """The table of what the points cost."""
    heads = [
        Head("point", number=False),
        Head("runs"),
        Head("steps", below="of a run"),
        Head("wall time", below="of a run"),
        Head("device time", below="of a run"),
        Head("device time", below="of all runs"),
        Head("images", below="of a run"),
        Head("machine", number=False),
        Head("code", number=False),
    ]
    return html("costs", heads, {p: _cost(known) for p, known in cost.costs(sweep).items()})


def _cost(known: cost.PointCost | None) -> list[Shown]:
    if known is None:
        none = Shown("not written down", None, "missing")
        return [Shown("0", 0, "number"), *[none] * 5, Shown("", None), Shown("", None)]
    times = [
        Shown(cost.duration(hours), hours, "number")
        for hours in (known.hours, known.device_hours, known.total)
    ]
    return [
        Shown(known.counted, known.runs, "number"),
        Shown(known.span, known.steps[1], "number"),
        *times,
        Shown(f"{known.images:,.0f}", known.images, "number"),
        Shown(known.machine, known.machine),
        Shown(known.code[:10], known.code, title=known.code),
    ]
