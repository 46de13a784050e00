"""Options of commands that may run as one of several processes."""

import argparse
import os


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds --multihost and what it needs where no cluster is detected."""
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


def connect(args: argparse.Namespace) -> None:
    """Joins the other processes, where --multihost asks for it; what is not given is what the
    cluster says.

    Raises ValueError where it says nothing, or a number is wrong.
    """
    if not args.multihost:
        return
    import jax

    try:
        jax.distributed.initialize(args.coordinator, args.num_processes, args.process_id)
    except ValueError as error:
        raise ValueError(
            f"--multihost: {error} Where no cluster is detected, start every process with "
            "--coordinator=HOST:PORT --num_processes=N --process_id=I"
        ) from error
