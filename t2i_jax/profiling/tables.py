"""What `t2i_jax.commands.benchmark` measures, as tables; each function returns the numbers too."""

import argparse
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ml_collections import ConfigDict
from rich.console import Console
from rich.table import Table

from t2i_jax import config as configs
from t2i_jax.arguments import program
from t2i_jax.data import catalog, throughput, tokenizers
from t2i_jax.data.options import DataOptions
from t2i_jax.profiling import step_time
from t2i_jax.profiling.passes import step_flops
from t2i_jax.training import fields, ranges


def resolved(spec: str, overrides: Sequence[str]) -> ConfigDict:
    """A config with overrides; ValueError for values out of range."""
    config = fields.resolve(spec, overrides).config
    ranges.check(configs.flatten(config))
    return config


def _workloads(args: argparse.Namespace):
    for spec in args.config:
        yield spec, step_time.make_workload(resolved(spec, args.overrides))


def tell(console: Console, spec: str, notes: Iterable[str]) -> None:
    """Prints what is not as in a training, a line each."""
    for note in notes:
        console.print(f"{spec}: {note}", markup=False, highlight=False, soft_wrap=True)


def steps(args: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Measures the step of every config and prints them side by side."""
    found = []
    for spec, work in _workloads(args):
        result = step_time.measure_step(work, args.steps, args.seconds, args.peak, args.profile)
        found.append({"config": spec, **_as_json(result)})
        tell(console, spec, result.notes)
    table = Table(title=f"{found[0]['devices']} x {found[0]['device']}, {args.steps} timed steps")
    table.add_column("")
    for row in found:
        table.add_column(row["config"], justify="right")
    for title, field, text in _STEP_ROWS:
        values = [field(row) for row in found]
        if any(value is not None for value in values):
            table.add_row(title, *(_cell(v, values[0], text) for v in values))
    console.print(table)
    if args.profile:
        console.print(
            f"traced a few steps in {args.profile}: pip install xprof, then xprof --logdir="
            f"{args.profile}; or open a *.trace.json.gz of it at https://ui.perfetto.dev",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    return found


def _as_json(result) -> dict[str, Any]:
    names = ("steps_per_second", "images_per_second", "decoded_per_second", "flops_per_second")
    names += ("mfu", "input_bound")
    row = dataclasses.asdict(result) | {name: getattr(result, name) for name in names}
    if result.pipeline is not None:
        row["pipeline"] |= _pipeline(result.pipeline)
    return row


def _pipeline(found: throughput.Throughput) -> dict[str, float]:
    names = ("images_per_second", "images_per_cpu_second", "decode_share")
    return {name: getattr(found, name) for name in names}


def short(value: float) -> str:
    """Three digits and a unit of thousands."""
    for unit in ("", "k", "M", "G", "T"):
        if abs(value) < 999.5:
            return f"{value:.3g} {unit}".strip()
        value /= 1000
    return f"{value:.3g} P"


def _cell(value: float | None, first: float | None, text: Callable[[float], str]) -> str:
    if value is None:
        return "-"
    ratio = f" ({value / first:.2f}x)" if first and value is not first else ""
    return text(value) + ratio


def _of(*path: str | int) -> Callable[[dict], Any]:
    """Follows keys into nested values, as far as there are any."""

    def get(row):
        for key in path:
            row = None if row is None else row[key]
        return row

    return get


_STEP_ROWS = (
    ("compile, cold (s)", _of("compile_seconds"), "{:.1f}".format),
    ("step, median (ms)", lambda row: 1e3 * row["seconds"][1], "{:.1f}".format),
    ("  lower quartile", lambda row: 1e3 * row["seconds"][0], "{:.1f}".format),
    ("  upper quartile", lambda row: 1e3 * row["seconds"][2], "{:.1f}".format),
    ("  CPU time (ms)", lambda row: 1e3 * row["cpu_seconds"], "{:.1f}".format),
    ("steps/s", _of("steps_per_second"), "{:.3g}".format),
    ("images a step", _of("images"), "{:,}".format),
    ("images/s", _of("images_per_second"), "{:,.1f}".format),
    ("FLOPs a step", _of("flops"), short),
    ("FLOP/s", _of("flops_per_second"), short),
    ("  of the devices' peak (MFU)", _of("mfu"), "{:.1%}".format),
    ("bytes read and written a step", _of("bytes_accessed"), short),
    ("program's memory a device (bytes)", _of("program_bytes"), short),
    ("peak of a device (bytes)", _of("device_bytes"), short),
    ("trained parameters", lambda row: sum(row["parameters"].values()), "{:,}".format),
    ("frozen parameters", _of("frozen"), "{:,}".format),
    ("input pipeline (images/s)", _of("pipeline", "images_per_second"), "{:,.0f}".format),
    ("  the step decodes (images/s)", _of("decoded_per_second"), "{:,.0f}".format),
    ("  the step would wait for it", _of("input_bound"), "{:.0%}".format),
)


def passes(args: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Compares the FLOPs of every config's step with what its algorithm needs."""
    found = []
    for spec, work in _workloads(args):
        result = step_flops(work)
        found.append({"config": spec, **result})
        columns = "part", "times", "forward", "as used", "used / forward", "needed"
        table = titled(f"{spec}: FLOPs of one step", *columns)
        for part in result["parts"]:
            trained = part["passes"] > 1
            table.add_row(
                part["name"],
                str(part["times"]),
                short(part["forward"]),
                short(part["used"]),
                f"{part['used'] / part['forward']:.2f}" if trained and part["forward"] else "",
                short(part["times"] * part["used"]),
            )
        table.add_section()
        table.add_row("sum", *[""] * 4, short(result["needed"]))
        if result["by_rule"] is not None:
            rule = "by rule: 3 x forward, seen through 2 x"
            table.add_row(rule, *[""] * 4, short(result["by_rule"]))
        table.add_row("compiled step", *[""] * 4, short(result["step"]))
        table.caption = f"compiled / sum = {result['ratio']:.3f}"
        console.print(table)
        calls = titled("forward passes over a batch", "network", "in the step", "needed")
        for network, runs in result["runs"].items():
            calls.add_row(network, f"{runs['step']:g}", f"{runs['needed']:g}")
        console.print(calls)
    return found


def data(args: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Measures the input pipelines of prepared sets."""
    base = ConfigDict({"data": dataclasses.asdict(DataOptions(data_dir=args.data_dir))})
    base = configs.override(base, args.overrides).data.to_dict()
    cores = f"cores for {args.need:,.0f}/s"
    columns = "data set", "side", "workers", "images/s", "images/CPU-s", "decoding", cores
    table, found = titled("input pipelines", *columns), []
    for name, size, workers in itertools.product(_prepared(args), args.size, args.workers):
        options = DataOptions(**{**base, "name": name, "size": size, "workers": workers})
        console.print(f"{name}, {size} px, {workers} workers", style="dim", highlight=False)
        row = {"dataset": name, "size": size, "workers": workers, **_best(options, args)}
        row["cores"] = args.need / row["images_per_cpu_second"]
        found.append(row)
        table.add_row(
            name,
            str(size),
            str(workers),
            f"{row['images_per_second']:,.0f}",
            f"{row['images_per_cpu_second']:,.0f}",
            f"{row['decode_share']:.0%}",
            f"{row['cores']:.2f}",
        )
    console.print(table)
    return found


def _best(options: DataOptions, args: argparse.Namespace) -> dict[str, float]:
    """Of several measurements: what other programs take away, they don't all take away."""
    tokenizer = tokenizers.from_config("char") if options.captions else None
    source = catalog.open_split(options.name, options.data_dir, options.split)
    tries = [
        throughput.measure(options, tokenizer, args.seconds, source=source)
        for _ in range(args.repeats)
    ]
    best = max(tries, key=lambda t: t.images_per_cpu_second)
    fastest = max(t.images_per_second for t in tries)
    return {**_pipeline(best), "images_per_second": fastest, "stages": dict(best.stages)}


def _prepared(args: argparse.Namespace) -> list[str]:
    """The data sets asked for, or every config of every set in the folder."""
    if args.dataset:
        return args.dataset
    names = [
        f"{name}/{config}"
        for name in catalog.DATASETS
        for config in catalog.prepared_configs(name, args.data_dir)
    ]
    if not names:
        raise ValueError(
            f"no data set is prepared in {args.data_dir}; see {program('prepare')} --help"
        )
    return names


def titled(title: str, *columns: str) -> Table:
    """A table whose first column holds words, the others numbers."""
    table = Table(title=title)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    return table
