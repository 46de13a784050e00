"""Medians, ratios and their spread, and the tables of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ratios.cases import PEAK, Case
from ratios.sides import Side

_DRAWS = 2000  # of rounds, for the spread of a ratio of medians
_INTERVAL = (0.025, 0.975)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """(a quarter is below, half, three quarters)."""
    return tuple(float(x) for x in np.quantile(values, (0.25, 0.5, 0.75)))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """(lower end, ratio of the medians, upper end): 95 % of what the ratio is where the rounds,
    with both sides' steps in them, are drawn anew with replacement.
    """
    pairs = np.asarray([ours, theirs])
    picks = np.random.default_rng(0).integers(0, pairs.shape[1], (_DRAWS, pairs.shape[1]))
    drawn = np.median(pairs[:, picks], axis=2)
    low, high = np.quantile(drawn[0] / drawn[1], _INTERVAL)
    middle = np.median(pairs, axis=1)
    return float(low), float(middle[0] / middle[1]), float(high)


def compared(found: dict[str, dict[str, Any]], others: Sequence[Side], case: Case) -> list[dict]:
    """The first side of `found` against each of the others: ratios, with aims where there are."""
    ours = next(iter(found.values()))
    rows = []
    for side in others:
        theirs = found[side.name]
        aims = [aim for name, aim in case.ratios.items() if side.is_named(name)]
        rows.append(
            {
                "against": side.name,
                "cpu": ratio(ours["cpu"], theirs["cpu"]),
                "wall": ratio(ours["wall"], theirs["wall"]),
                "peak": ours["peak"] / theirs["peak"],
                "cpu_aim": aims[0] if aims else None,
                "peak_aim": PEAK if aims else None,
            }
        )
    return rows


def table(found: dict[str, dict[str, Any]]) -> str:
    """What was measured of every side, one column a side."""
    lines = [["", *found], ["---"] * (1 + len(found))]
    for title, cell in _ROWS:
        cells = [cell(row) for row in found.values()]
        if any(cells):
            lines.append([title, *(c or "-" for c in cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def overview(cases: dict[str, dict[str, Any]]) -> str:
    """One line a case and other side: the ratios, and whether they are as low as they should be."""
    head = ["case", "this / other", "CPU-seconds a step", "95 %", "peak memory"]
    lines = [head, ["---"] * len(head)]
    for name, case in cases.items():
        for row in case["ratios"]:
            low, middle, high = row["cpu"]
            cells = name, f"/ {row['against']}", _judged(middle, row["cpu_aim"])
            lines.append([*cells, f"{low:.3f}-{high:.3f}", _judged(row["peak"], row["peak_aim"])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def costs(found: dict[str, Any], case: Case) -> list[str]:
    """Sentences on what the first side's start costs, where there is an aim for that."""
    aims = {"init_state": (found["init"], case.init), "compiling": (found["compile"], case.compile)}
    return [
        f"{what} took {_judged(value, aim, '.1f')} CPU-seconds"
        for what, (value, aim) in aims.items()
        if aim is not None
    ]


def _judged(value: float, aim: float | None, form: str = ".3f") -> str:
    if aim is None:
        return f"{value:{form}}"
    return f"{value:{form}} ({'reached' if value <= aim else 'missed'}: {aim:g})"


def _number(key: str, unit: float = 1.0, form: str = ".2f"):
    def cell(row: dict[str, Any]) -> str:
        value = row.get(key)
        return "" if value is None else f"{value / unit:{form}}"

    return cell


def _spread(key: str):
    def cell(row: dict[str, Any]) -> str:
        low, middle, high = quartiles(row[key])
        return f"{middle:.4g} ({low:.4g}-{high:.4g})"

    return cell


def _parameters(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(row["parameters"].items()))


def _peak(row: dict[str, Any]) -> str:
    return _number("peak", 1e9)(row) + ("" if row["forgotten"] else " (with compiling)")


_ROWS = (
    ("CPU-seconds a step, median (quartiles)", _spread("cpu")),
    ("seconds a step, median (quartiles)", _spread("wall")),
    ("peak memory of the steps, GB", _peak),
    ("XLA's program, GB", _number("program_bytes", 1e9)),
    ("FLOPs a step, G", _number("flops", 1e9, ",.1f")),
    ("initial state, CPU-seconds", _number("init")),
    ("compiling, CPU-seconds", _number("compile")),
    ("trained parameters", _parameters),
)
