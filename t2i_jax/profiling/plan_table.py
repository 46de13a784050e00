"""``benchmark --plan``: what a step would cost on accelerators, as a table for every config."""

import argparse
import dataclasses
from typing import Any

from rich.console import Console

from t2i_jax.profiling import devices, plan
from t2i_jax.profiling.tables import resolved, short, tell, titled

_COLUMNS = (
    ("devices", lambda row: f"{row.devices:,}"),
    ("images", lambda row: f"{row.images:,}"),
    ("FLOPs", lambda row: short(row.flops)),
    ("memory", lambda row: f"{short(row.memory)}{'' if row.fits else ' !'}"),
    ("accessed", lambda row: short(row.bytes_accessed)),
    ("sent", lambda row: short(sum(row.sent.values()))),
    ("compute", lambda row: f"{1e3 * row.compute:.1f}"),
    ("memory", lambda row: f"{1e3 * row.bandwidth:.1f}"),
    ("network", lambda row: f"{1e3 * row.network:.1f}"),
    ("bound by", lambda row: row.bound),
    ("images/s", lambda row: f"{row.images_per_second:,.0f}"),
    ("MFU", lambda row: f"{row.mfu:.0%}"),
)
_ESTIMATED = ("seconds", "bound", "images_per_second", "mfu")
_CAPTION = """\
{rows} on each device. FLOPs of a step on all devices; bytes on each: memory (of {memory}; !: it has
less), accessed, sent. Then milliseconds: compute at {efficiency:.0%} of the {dtype} peak of {peak},
memory at {bandwidth}/s, network at {network}/s. images/s and MFU are estimates: the longest of the
three as if it hid the others. Bytes are of XLA's program for CPUs, which joins fewer operations
and computes bfloat16 in float32: an accelerator needs less of both."""


def planned(args: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Compiles every config for the numbers of devices, prints and returns what that tells."""
    device, found = devices.find(args.device), []
    for spec in args.config:
        config = resolved(spec, args.overrides)
        if device.peak(config.dtype) is None:
            raise ValueError(f"{args.device} does not compute in {config.dtype}: --dtype=float32")
        heads = [head for head, _ in _COLUMNS]
        table = titled(f"{spec} on {args.device}, {config.parallel}", *heads)
        programs = plan.programs(config, args.devices, device.platform, args.split)
        for i, program in enumerate(programs):
            if not i:
                tell(console, spec, program["notes"])
            told = f"{program['devices']} devices: compiled in {program['seconds']:.0f} s"
            console.print(told, style="dim", highlight=False)
            row = plan.row(program, device, config.dtype, config.d_steps, args.efficiency)
            table.add_row(*(cell(row) for _, cell in _COLUMNS))
            found.append(
                {
                    "config": spec,
                    "device": args.device,
                    "rows": program["rows"],
                    **dataclasses.asdict(row),
                    **{
                        k: getattr(row, k) for k in ("seconds", "bound", "images_per_second", "mfu")
                    },
                    "parameters": program["parameters"],
                    "notes": program["notes"],
                }
            )
        batch = config.data.batch
        table.caption = _CAPTION.format(
            rows=f"data.batch={batch}, split" if args.split else f"data.batch={batch} rows",
            memory=short(device.memory),
            efficiency=args.efficiency,
            dtype=config.dtype,
            peak=short(device.peak(config.dtype)),
            bandwidth=short(device.bandwidth),
            network=", ".join(
                dict.fromkeys(short(device.between(n)) for n in args.devices if n > 1)
            )
            or "-",
        )
        console.print(table)
    return found
