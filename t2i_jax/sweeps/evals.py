"""What an ``--eval`` of a sweep asks for."""

import argparse
import contextlib
import functools
import io
import shlex
from collections.abc import Sequence

from t2i_jax import paths
from t2i_jax.evaluation import results
from t2i_jax.sweeps.state import done_steps

_RUN = "RUN"


@functools.cache
def parse(options: tuple[str, ...]) -> argparse.Namespace:
    """The arguments of `t2i_jax.evaluate`; ValueError where it does not take the options."""
    from t2i_jax.commands import (
        evaluate,  # whose imports take a second, which most sweeps need not wait
    )

    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            args = evaluate.parse([f"--workdir={_RUN}", *options])
    except SystemExit:
        why = told.getvalue().rpartition("error: ")[2].strip().partition("\n")[0]
        raise ValueError(f"--eval={shlex.join(options)!r}: {why}") from None
    if args.workdir != _RUN:
        raise ValueError(
            f"--eval={shlex.join(options)!r}: leave out --workdir, which is each run's"
        )
    return args


def find(options: tuple[str, ...], run: paths.Path) -> results.Record | None:
    """The latest record that a run has of it, made with the same options, of its last checkpoint,
    or of the one that they name.
    """
    from t2i_jax.commands import evaluate

    args = parse(options)
    step = done_steps(run) if args.step is None else args.step
    made = evaluate.made_by(args)
    records, _ = results.read(run / results.FOLDER)
    mine = [record for record in records if record.step == step and evaluate.is_of(record, made)]
    return mine[-1] if mine else None


def check_metric(metric: str, evals: Sequence[tuple[str, ...]], trained: Sequence[str]) -> None:
    """Raises ValueError where the metric of a search is a protocol's that no evaluation is of, or
    more than one. trained: protocols of the config's evals.names.
    """
    from t2i_jax.commands import evaluate
    from t2i_jax.evaluation.options import READS
    from t2i_jax.evaluation.protocols import families

    protocol = metric.partition("/")[0]
    if protocol not in READS and not families.is_name(protocol):
        return
    given = [evaluate.made_by(parse(options))["protocol"] for options in evals]
    if given.count(protocol) > 1:
        raise ValueError(f"metric {metric!r}: more than one --eval gives it; leave one")
    if protocol not in (*given, *trained):
        known = ", ".join([*given, *trained]) or "nothing"
        raise ValueError(
            f"metric {metric!r}: {known} is evaluated, not {protocol}; give "
            f"--eval='--protocol={protocol} ...', or name it in evals.names"
        )
