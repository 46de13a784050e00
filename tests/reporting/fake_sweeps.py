"""Run folders written by hand, as trainings and evaluations leave them."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from t2i_jax.evaluation.results import FILE, FOLDER
from t2i_jax.reporting import curves, table
from t2i_jax.reporting.gather import Sweep


def record(protocol: str, step: int | None, values: Mapping, **fields: Any) -> dict[str, Any]:
    """An evaluation as a line of results.jsonl has it."""
    rest = {"conditions": {}, "lower_is_better": [], "spreads": {}, "time": ""}
    return {"protocol": protocol, "step": step, "values": values, **rest, **fields}


def start(begin: int, end: int, hours: float, devices: str = "2 x cpu") -> dict[str, Any]:
    """A start of a training, on two devices."""
    return {
        "from_step": begin,
        "to_step": end,
        "hours": hours,
        "device_hours": 2 * hours,
        "images": 4 * (end - begin),
        "devices": devices,
        "processes": 1,
        "code": "c0ffee",
    }


def run(
    folder: pathlib.Path,
    config: Mapping[str, Any] | None = None,
    records: Sequence[Mapping] = (),
    rows: Sequence[Mapping] = (),
    starts: Sequence[Mapping] = (),
) -> pathlib.Path:
    """A run directory; files of which nothing is given are not there."""
    folder.mkdir(parents=True)
    given = {"system": "gan_int_cls", "seed": 0, **(config or {})}
    (folder / "config.json").write_text(json.dumps(given))
    if rows:
        (folder / "metrics.jsonl").write_text(_lines(rows))
    if records:
        (folder / FOLDER).mkdir()
        (folder / FOLDER / FILE).write_text(_lines(records))
    if starts:
        keys = ("hours", "device_hours", "images")
        total = {key: sum(s[key] for s in starts) for key in keys}
        (folder / "provenance.json").write_text(json.dumps({"total": total, "starts": starts}))
    return folder


def fids(root: pathlib.Path, numbers: Mapping[str, Sequence[float | None]]) -> pathlib.Path:
    """A sweep with a FID of each point's seeds; a point without has a run."""
    for point, values in numbers.items():
        if not values:
            run(root / "seed0" / point)
        for seed, value in enumerate(values):
            found = [record("fid2k", 100, {"fid": value}, lower_is_better=["fid"])]
            run(root / f"seed{seed}" / point, {"seed": seed}, found)
    return root


def cells_of(sweep: Sweep) -> dict[str, dict[str, str]]:
    """What the table shows, by the column's label and the point."""
    shown = {}
    for column in table.columns(sweep):
        cells = table.cells(sweep, column)
        layout = table.layout(cells)
        shown[column.label] = {point: table.shown(cell, layout) for point, cell in cells.items()}
    return shown


def lines_of(sweep: Sweep) -> dict[str, dict[tuple[str, str | None], tuple[list, list, list]]]:
    """Steps, hours and values of the curves, by metric, point and seed."""
    data = curves.curves(sweep, table.columns(sweep))
    grids = data["grids"]
    return {
        name: {
            (data["points"][line["point"]], line["seed"]): (
                grids[line["steps"]],
                None if line["hours"] is None else grids[line["hours"]],
                line["values"],
            )
            for line in lines
        }
        for name, lines in data["metrics"].items()
    }


def _lines(rows: Sequence[Mapping]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)
