"""``benchmark --what=memory``: what a step holds, by batch, dtype and what is computed anew."""

import argparse
import itertools
from typing import Any

from rich.console import Console

from t2i_jax.profiling import plan
from t2i_jax.profiling.tables import resolved, short, tell, titled
from t2i_jax.training.recomputed import FORMS

_DTYPES = ("float32", "bfloat16")
_PARTS = ("arguments", "temporaries", "results")
_SHOWN = ("arguments", "temporaries", "together")
_CAPTION = """\
Bytes on one device, of the program that XLA makes for CPUs, where bfloat16 is computed in float32.
Arguments: parameters, optimizer, average, frozen networks, batch. Results take their place."""


def memory(args: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Compiles every config for every batch, dtype and form of recomputation; prints and returns
    what the programs hold. Nothing is allocated and nothing runs.
    """
    found = []
    for spec in args.config:
        config = resolved(spec, args.overrides)
        batches = args.batches or [config.data.batch]
        forms = FORMS if "generator" in config else (config.remat,)  # encoders have no G
        table = titled(spec, "batch", "dtype", "remat", *_SHOWN)
        for i, (batch, dtype, form) in enumerate(itertools.product(batches, _DTYPES, forms)):
            cell = config.copy_and_resolve_references()
            cell.data.batch, cell.dtype, cell.remat = batch, dtype, form
            with console.status(f"{spec}: batch {batch}, {dtype}, remat={form}"):
                (program,) = plan.programs(cell, [1])
            if i == 0:
                tell(console, spec, program["notes"])
            row = {"batch": batch, "dtype": dtype, "remat": form}
            row |= {part: program[part] for part in _PARTS}
            row["together"] = sum(program[part] for part in _PARTS)
            table.add_row(str(batch), dtype, form, *(short(row[name]) for name in _SHOWN))
            found.append({"config": spec, **row})
        table.caption = _CAPTION
        console.print(table)
    return found
