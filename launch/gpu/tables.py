"""What was measured, as Markdown for BENCHMARKS.md, with the aims that were reached or missed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpu.plan import DTYPES, MFU, MFU_OF, TIMES, Plan

Found = Mapping[str, Any]  # results.json
OURS, TORCH = "t2i_jax", "torch"


def page(found: Found, plan: Plan) -> str:
    """All tables of what there is so far."""
    parts = [_environment(found["environment"]), *_steps(found, plan), *_torch(found, plan)]
    parts += [*_batches(found), *_training(found), "\n".join(f"- {a}" for a in aims(found, plan))]
    return "\n\n".join(part for part in parts if part) + "\n"


def row_of(found: Found, framework: str, system: str, dtype: str) -> Mapping[str, Any]:
    """The row of a system at its paper's batch; empty where it was not measured, or in vain."""
    for row in found["rows"]:
        where = row["framework"], row["system"], row["dtype"], row["part"]
        if where == (framework, system, dtype, "steps") and "error" not in row:
            return row
    return {}


def aims(found: Found, plan: Plan) -> list[str]:
    """A sentence an aim: reached, missed or not measured."""
    lines = []
    for system in plan.torch:
        for dtype, times in TIMES.items():
            ours = row_of(found, OURS, system, "bfloat16").get("images_per_second")
            theirs = row_of(found, TORCH, system, dtype).get("images_per_second")
            ratio = ours / theirs if ours and theirs else None
            lines.append(
                f"{system}: {times:g} x the images/s of PyTorch in {dtype}: "
                + _judged(ratio, times, "{:.2f} x".format)
            )
    for system in plan.systems:
        aim = MFU_OF.get(system, MFU)
        values = [
            row["mfu"]
            for row in found["rows"]
            if row["system"] == system and row["dtype"] == "bfloat16" and row.get("mfu")
        ]
        told = _judged(max(values, default=None), aim, "{:.1%}".format)
        lines.append(f"{system}: MFU of {aim:.0%} in bfloat16: {told}")
    return lines


def _judged(value: float | None, aim: float, text) -> str:
    if value is None:
        return "not measured"
    return f"**{'reached' if value >= aim else 'missed'}**, {text(value)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _environment(about: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items() if value)


def _cell(row: Mapping[str, Any], key: str, text) -> str:
    value = row.get(key)
    return "-" if value is None else text(value)


def _gigabytes(row: Mapping[str, Any]) -> str:
    held = row.get("device_bytes") or row.get("program_bytes")
    return "-" if held is None else f"{held / 1e9:.1f}"


def _steps(found: Found, plan: Plan) -> list[str]:
    columns = [f"{what}, {d}" for d in DTYPES for what in ("images/s", "MFU", "GB", "compile, s")]
    lines = []
    for name, system in plan.systems.items():
        cells = [name, str(system.batch)]
        for dtype in DTYPES:
            row = row_of(found, OURS, name, dtype)
            cells.append(_cell(row, "images_per_second", "{:,.1f}".format))
            cells.append(_cell(row, "mfu", "{:.1%}".format))
            cells += [_gigabytes(row), _cell(row, "compile_seconds", "{:.0f}".format)]
        if any(cell != "-" for cell in cells[2:]):
            lines.append(cells)
    failed = [
        f"{row['framework']}, {row['system']}, {row['dtype']}: {row['error']}"
        for row in found["rows"]
        if "error" in row and row["part"] == "steps"
    ]
    tables = [_table(["system", "batch", *columns], lines)] if lines else []
    return [*tables, "\n".join(f"- not measured: {line}" for line in failed)]


def _torch(found: Found, plan: Plan) -> list[str]:
    lines = []
    for name in plan.torch:
        ours = row_of(found, OURS, name, "bfloat16").get("images_per_second")
        for dtype in TIMES:
            row = row_of(found, TORCH, name, dtype)
            if row:
                theirs = row["images_per_second"]
                ratio = f"{ours / theirs:.2f}" if ours else "-"
                lines.append([name, dtype, f"{theirs:,.1f}", _gigabytes(row), ratio])
    head = ["system", "PyTorch in", "images/s", "GB", "ours in bfloat16 / PyTorch's"]
    return [_table(head, lines)] if lines else [found.get("no_torch", "")]


def _batches(found: Found) -> list[str]:
    lines = []
    for row in found["rows"]:
        if row["part"] == "batches":
            fits = row.get("error") or "fits"
            speed = _cell(row, "images_per_second", "{:,.1f}".format)
            mfu = _cell(row, "mfu", "{:.1%}".format)
            lines.append([row["system"], str(row["batch"]), fits, speed, mfu, _gigabytes(row)])
    head = ["system, bfloat16", "batch", "", "images/s", "MFU", "GB"]
    return [_table(head, lines)] if lines else []


def _training(found: Found) -> list[str]:
    told = found.get("training")
    if not told:
        return []
    if "error" in told:
        return [f"Training: {told['error']}."]
    steps = {name: told[name] for name in ("damsm", "gan")}
    counts = " and ".join(
        f"{row['step']:,} steps of {name} ({_cell(row, 'images_per_second', '{:,.0f}'.format)} "
        "images/s at the end)"
        for name, row in steps.items()
    )
    return [f"Training for {told['seconds']:.0f} s: {counts}; the pictures are in grid.png."]
