"""Command line: trains what a config describes, or goes on with a run.

    python -m t2i_jax.train --config=configs/gan_int_cls.py:cub --workdir=runs/birds \\
        --optim.g.lr=1e-4 --train.duration="300 epochs"

Every field of the config is an option of its own name. The same command resumes a stopped run.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from t2i_jax import config as configs


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments with `config` loaded and overridden; unknown options are config overrides."""
    parser = argparse.ArgumentParser(
        prog="python -m t2i_jax.train", description=__doc__.split("\n")[0], allow_abbrev=False
    )
    parser.add_argument("--config", required=True, help="FILE.py or FILE.py:arg")
    parser.add_argument("--workdir", required=True, help="run directory; an old one is resumed")
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
    try:
        args.config = configs.override(configs.load(args.config), rest)
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
    from t2i_jax.training import loop

    try:
        if args.multihost:
            connect(args.coordinator, args.num_processes, args.process_id)
        loop.train(args.config, args.workdir)
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        if os.environ.get("T2I_JAX_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1 if isinstance(error, FloatingPointError) else 2)


if __name__ == "__main__":
    main()
