"""``benchmark --compare``: steps in turns, and the ratios of their times to the first one's."""

import argparse
import dataclasses
import shlex
from typing import Any

import jax
import numpy as np
from rich.console import Console

from t2i_jax.profiling import compare, step_time
from t2i_jax.profiling.tables import resolved, short, tell, titled


def compared(args: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Times what ``args.compare`` names, prints it side by side, and returns it."""
    names = [text or "as it is" for text in args.compare]
    works = []
    for name, text in zip(names, args.compare, strict=True):
        spec, overrides = side(text, args.config)
        works.append(step_time.make_workload(resolved(spec, [*args.overrides, *overrides])))
        tell(console, name, works[-1].notes)
    found = compare.in_turns(works, args.steps)
    device = jax.devices()[0]
    title = f"{jax.device_count()} x {device.device_kind}, {args.steps} rounds in turns"
    table = titled(title, "", *names)
    rows = [_row(name, one, found[0]) for name, one in zip(names, found, strict=True)]
    for head, cell in _ROWS:
        table.add_row(head, *map(cell, rows))
    table.caption = "ratios are of the same round; in brackets their quartiles"
    console.print(table)
    return rows


def side(text: str, config: list[str]) -> tuple[str, list[str]]:
    """(config, overrides) of one thing to compare: a config, overrides, or both.

    config: what ``--config`` gave, for a side that names none. ValueError for a side without one.
    """
    words = shlex.split(text)
    named = [word for word in words if "=" not in word] or config
    if len(named) != 1:
        raise ValueError(
            f"--compare {text!r} names {len(named)} configs: write 'CONFIG field=value ...', or "
            "give one --config and write overrides alone"
        )
    return named[0], [word for word in words if "=" in word]


def _row(name: str, one: compare.Timed, first: compare.Timed) -> dict[str, Any]:
    return {
        "name": name,
        **dataclasses.asdict(one),
        "median_seconds": float(np.median(one.seconds)),
        "median_cpu_seconds": float(np.median(one.cpu_seconds)),
        "ratio": compare.ratio(one.seconds, first.seconds),
        "cpu_ratio": compare.ratio(one.cpu_seconds, first.cpu_seconds),
        "flops_ratio": one.flops / first.flops,
    }


def _spread(quartiles: tuple[float, float, float]) -> str:
    low, median, high = quartiles
    return f"{median:.3f} [{low:.3f}, {high:.3f}]"


def _optional(value: float | None) -> str:
    return "-" if value is None else short(value)


_ROWS = (
    ("step, median (ms)", lambda row: f"{1e3 * row['median_seconds']:.1f}"),
    ("  ratio to the first", lambda row: _spread(row["ratio"])),
    ("CPU time, median (ms)", lambda row: f"{1e3 * row['median_cpu_seconds']:.1f}"),
    ("  ratio to the first", lambda row: _spread(row["cpu_ratio"])),
    ("images a step", lambda row: f"{row['images']:,}"),
    ("images/s", lambda row: f"{row['images'] / row['median_seconds']:,.1f}"),
    ("FLOPs a step", lambda row: short(row["flops"])),
    ("program's memory a device (bytes)", lambda row: _optional(row["program_bytes"])),
    ("compile, cold (s)", lambda row: f"{row['compile_seconds']:.1f}"),
    ("trained parameters", lambda row: f"{sum(row['parameters'].values()):,}"),
)
