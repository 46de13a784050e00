"""What an ``--eval`` of a sweep asks for."""

import argparse
import contextlib
import functools
import io
import shlex

from t2i_jax import paths
from t2i_jax.evaluation import results
from t2i_jax.sweeps.state import done_steps

_RUN = "RUN"


@functools.cache
def parse(options: tuple[str, ...]) -> argparse.Namespace:
    """The arguments of `t2i_jax.evaluate`; ValueError where it does not take the options."""
    from t2i_jax import evaluate  # whose imports take a second, which most sweeps need not wait

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


def is_done(options: tuple[str, ...], run: paths.Path) -> bool:
    """Whether a run has a record of it, made with the same options, of its last checkpoint, or of
    the one that they name.
    """
    from t2i_jax import evaluate

    args = parse(options)
    step = done_steps(run) if args.step is None else args.step
    made = evaluate.made_by(args)
    records, _ = results.read(run / results.FOLDER)
    return any(record.step == step and evaluate.is_of(record, made) for record in records)
