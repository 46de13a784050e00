"""``benchmark --plan``: what a step would cost on accelerators, as a table for every config."""

import argparse
import dataclasses
from typing import Any

from rich.console import Console
from rich.table import Table

from t2i_jax.profiling import devices, plan
from t2i_jax.profiling.tables import resolved, short, tell, titled

_COLUMNS = (
    ("devices", lambda row: f"{row.devices:,}"),
    ("images", lambda row: f"{row.images:,}"),
    ("FLOPs", lambda row: short(row.flops)),
    ("memory", lambda row: f"{short(row.memory)}{'' if row.fits else ' !'}"),
    ("accessed", lambda row: short(row.bytes_accessed)),
    ("sent", lambda row: short(sum(row.sent.values()))),
    ("compute ms", lambda row: f"{1e3 * row.compute:.1f}"),
    ("bandwidth ms", lambda row: f"{1e3 * row.bandwidth:.1f}"),
    ("network ms", lambda row: f"{1e3 * row.network:.1f}"),
    ("bound by", lambda row: row.bound),
    ("images/s", lambda row: f"{row.images_per_second:,.0f}"),
    ("MFU", lambda row: f"{row.mfu:.0%}"),
)
_ESTIMATED = ("seconds", "bound", "images_per_second", "mfu")
_CAPTION = """\
{rows} on each device. FLOPs of a step on all devices; bytes on each: memory (of {memory}; !: it has
less), accessed, sent. Times: compute at {efficiency:.0%} of the {dtype} peak of {peak}, memory at
{bandwidth}/s, network at {network}/s. images/s and MFU are estimates: the longest of the three, as
if it hid the others. Bytes are of XLA's program for CPUs, which joins fewer operations and computes
bfloat16 in float32: an accelerator needs less of them."""


def planned(args: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Compiles every config for the numbers of devices, prints and returns what that tells."""
    chips, found = {name: devices.find(name) for name in args.device}, []
    for spec in args.config:
        config = resolved(spec, args.overrides)
        for name, chip in chips.items():
            if chip.peak(config.dtype) is None:
                raise ValueError(f"{name} does not compute in {config.dtype}: --dtype=float32")
        programs = []
        for program in plan.programs(config, args.devices, args.split):
            if not programs:
                tell(console, spec, program["notes"])
            told = f"{program['devices']} devices: compiled in {program['seconds']:.0f} s"
            console.print(told, style="dim", highlight=False)
            programs.append(program)
        for name, chip in chips.items():
            rows = [
                plan.row(program, chip, config.dtype, config.d_steps, args.efficiency)
                for program in programs
            ]
            console.print(_table(f"{spec} on {name}, {config.parallel}", rows, chip, config, args))
            for program, row in zip(programs, rows, strict=True):
                kept = {k: program[k] for k in ("rows", "parameters", "notes")}
                estimated = {k: getattr(row, k) for k in _ESTIMATED}
                found.append(
                    {"config": spec, "device": name, **kept, **dataclasses.asdict(row), **estimated}
                )
    return found


def _table(
    title: str, rows: list[plan.Row], chip: devices.Device, config, args: argparse.Namespace
) -> Table:
    table = titled(title, *(head for head, _ in _COLUMNS))
    for row in rows:
        table.add_row(*(cell(row) for _, cell in _COLUMNS))
    batch = config.data.batch
    networks = dict.fromkeys(short(chip.between(row.devices)) for row in rows if row.devices > 1)
    table.caption = _CAPTION.format(
        rows=f"data.batch={batch}, split:" if args.split else f"data.batch={batch} rows",
        memory=short(chip.memory),
        efficiency=args.efficiency,
        dtype=config.dtype,
        peak=short(chip.peak(config.dtype)),
        bandwidth=short(chip.bandwidth),
        network=" or ".join(networks) or "-",
    )
    return table
