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
    parser.add_argument(
        "--multihost",
        action="store_true",
        help="one of several processes. Slurm, GKE and TPU pods are detected; elsewhere give the "
        "next three, or the variables of their names",
    )
    for flag, variable, kind, text in (
        ("--coordinator", "JAX_COORDINATOR_ADDRESS", str, "HOST:PORT of process 0, free there"),
        ("--num_processes", "JAX_NUM_PROCESSES", int, "how many there are"),
        ("--process_id", "JAX_PROCESS_ID", int, "which one this is, from 0"),
    ):
        default = os.environ.get(variable)
        parser.add_argument(flag, type=kind, default=default, help=f"{text} (${variable})")
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


def connect(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Joins the other processes; what is None is what the cluster says.

    Raises ValueError where it says nothing, or a number is wrong.
    """
    import jax

    try:
        jax.distributed.initialize(coordinator, num_processes, process_id)
    except ValueError as error:
        raise ValueError(
            f"--multihost: {error} Where no cluster is detected, start every process with "
            "--coordinator=HOST:PORT --num_processes=N --process_id=I"
        ) from error


def main(argv: Sequence[str] | None = None) -> None:
    """Trains; exits with status 2 and one line where the user's input is wrong."""
    args = parse(argv)
    if args.print_config:
        from t2i_jax.training import fields

        print(fields.listing(args.resolved))
        return
    for note in args.resolved.notes:
        print(note, file=sys.stderr)
    from t2i_jax.evaluation.in_training import evaluators
    from t2i_jax.training import loop
    from t2i_jax.training.stopping import Stopped, Stopping

    try:
        # Before jax's own handler, which several processes need for SIGTERM.
        with Stopping().listening() as stopping:
            if args.multihost:
                connect(args.coordinator, args.num_processes, args.process_id)
            loop.train(args.resolved.config, args.workdir, evaluators, stopping, args.given)
    except Stopped as stop:
        print(f"stopped by {stop.why}. The same command goes on.", file=sys.stderr)
        raise
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        if os.environ.get("T2I_JAX_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1 if isinstance(error, FloatingPointError) else 2)


if __name__ == "__main__":
    main()
