"""Command line: trains what a config describes, or goes on with a run.

    python -m t2i_jax.train --config=configs/gan_int_cls.py:cub --workdir=runs/birds \\
        --optim.g.lr=1e-4 --train.duration="300 epochs"
    python -m t2i_jax.train --config=configs/gan_int_cls.py:cub --print_config

Every field of the config is an option of its own dotted name, as --optim.g.lr above; --print_config
lists them all, with their values and where these come from, and trains nothing. The same command
resumes a stopped run.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from t2i_jax import multihost


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments, and the config in `resolved`; unknown options override its fields, and are
    `given`.
    """
    parser = argparse.ArgumentParser(
        prog="python -m t2i_jax.train",
        usage="%(prog)s --config=FILE.py[:arg] --workdir=RUN [--field=value ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", required=True, help="FILE.py or FILE.py:arg")
    parser.add_argument("--workdir", help="run directory; an old one is resumed")
    parser.add_argument(
        "--print_config", action="store_true", help="list the fields of the config instead"
    )
    multihost.add_options(parser)
    args, rest = parser.parse_known_args(argv)
    if not (args.workdir or args.print_config):
        parser.error("--workdir=RUN is missing (or --print_config, to see the config)")
    from t2i_jax import config as configs
    from t2i_jax.training import fields  # jax, which --help does without

    try:
        args.given = configs.parse_overrides(rest)
        args.resolved = fields.resolve(args.config, args.given)
        if args.print_config:
            args.resolved = fields.with_runs(args.resolved)
        else:
            args.resolved.check()
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    return args


def evaluators(system, options):
    """What the config measures at checkpoints; imported where it measures something."""
    from t2i_jax.evaluation import in_training

    return in_training.evaluators(system, options)


def main(argv: Sequence[str] | None = None) -> None:
    """Trains; exits with status 2 and one line where the user's input is wrong."""
    args = parse(argv)
    if args.print_config:
        from t2i_jax.training import fields

        print(fields.listing(args.resolved))
        return
    for note in args.resolved.notes:
        print(note, file=sys.stderr)
    from t2i_jax.training import loop
    from t2i_jax.training.stopping import Stopped, Stopping

    try:
        # Before jax's own handler, which several processes need for SIGTERM.
        with Stopping().listening() as stopping:
            multihost.connect(args)
            loop.train(args.resolved.config, args.workdir, evaluators, stopping, args.given)
    except Stopped as stop:
        print(f"stopped by {stop.why}. The same command goes on.", file=sys.stderr)
        raise
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        if os.environ.get("T2I_JAX_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1 if isinstance(error, FloatingPointError) else 2)
