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
    address = "address of process 0, with a port that is free there"
    for flag, variable, kind, metavar, text in (
        ("--coordinator", "JAX_COORDINATOR_ADDRESS", str, "HOST:PORT", address),
        ("--num_processes", "JAX_NUM_PROCESSES", int, "N", "how many there are"),
        ("--process_id", "JAX_PROCESS_ID", int, "N", "which one this is, from 0"),
    ):
        told = f"{text} (default: ${variable})"
        default = os.environ.get(variable)
        parser.add_argument(flag, type=kind, default=default, metavar=metavar, help=told)


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
