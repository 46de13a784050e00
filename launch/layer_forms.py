"""Times the exact forms of a convolution against XLA's own, shape by shape.

    python launch/layer_forms.py [--batch=16] [--repeats=7] [--cases=strided,square] [--out=FILE]

Prints, for the result and both gradients together, or for what a case computes alone, the
CPU-seconds (on accelerators: seconds) of each form relative to the first, the median of rounds in
which all forms take turns. The thresholds in `t2i_jax.models.convolutions` and
`t2i_jax.models.conv` are read off this table.
"""

import argparse
import json
import pathlib
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from ratios.layers import KINDS, Case

from t2i_jax.training.freed_memory import keep
from t2i_jax.training.parallel import compiler_options


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments; exits with status 2 where they are wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cases", default=",".join(KINDS), help="of " + ", ".join(KINDS))
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args(argv)
    args.cases = args.cases.split(",")
    if unknown := [name for name in args.cases if name not in KINDS]:
        parser.error(f"--cases has {unknown}; known: {', '.join(KINDS)}")
    return args


def main() -> None:
    """Prints the table; writes it as JSON where asked to."""
    args = parse()
    keep()  # as in trainings
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    rows = []
    for name in args.cases:
        for case in KINDS[name](args.batch):
            seconds = measure(case, args.repeats, clock)
            first = next(iter(seconds.values()))
            rows.append({"case": case.title, "seconds": seconds})
            ratios = "  ".join(f"{form} {s / first:.2f}" for form, s in seconds.items())
            print(f"{case.title:34} {1e3 * first:8.1f} ms  {ratios}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2))


def measure(case: Case, repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median seconds by form; all forms take turns."""
    rng = np.random.default_rng(0)
    inputs = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in case.shapes]
    compiled = {}
    for name, form in case.forms.items():

        def all_of(*inputs, form=form):
            y, pull = jax.vjp(form, *inputs)
            return y, pull(y)

        lowered = jax.jit(form if case.alone else all_of).lower(*inputs)
        compiled[name] = lowered.compile(compiler_options())
        jax.block_until_ready(compiled[name](*inputs))
    times = {name: [] for name in compiled}
    for _ in range(repeats):
        for name, call in compiled.items():
            begin = clock()
            jax.block_until_ready(call(*inputs))
            times[name].append(clock() - begin)
    return {name: float(np.median(values)) for name, values in times.items()}


if __name__ == "__main__":
    main()
