"""Trains what a config describes: a GAN, a text encoder or another network. The same command
resumes a stopped run.

A config says which system is trained on which data, and all numbers. One that comes with the
package goes by its name and an argument, mostly a data set: gan_int_cls:cub. Every field of it is
an option of its own dotted name, such as --optim.g.lr=1e-4; --print_config lists them all, with
their values and where these come from, and trains nothing.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from t2i_jax import arguments, completion, multihost

_EXAMPLES = {
    "A first try on birds that the command prepare has drawn: tiny networks, seconds": "--config="
    'gan_int_cls:debug --workdir=runs/try --train.duration="50 steps"',
    "What can be set, and what it is set to": "--config=attn_gan:cub --print_config",
}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    usage = "%(prog)s --config=NAME[:argument] --workdir=RUN [--field=value ...]"
    made = arguments.parser("train", __doc__, _EXAMPLES, usage=usage, allow_abbrev=False)
    completion.add_config(made, required=True)
    made.add_argument(
        "--workdir", metavar="RUN", help="folder of the run; one that exists already is resumed"
    )
    made.add_argument(
        "--print_config", action="store_true", help="list the fields of the config instead"
    )
    multihost.add_options(made)
    return made


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments, and the config in `resolved`; unknown options override its fields, and are
    `given`.
    """
    command = parser()
    args, rest = command.parse_known_args(argv)
    if not (args.workdir or args.print_config):
        command.error("--workdir=RUN is missing (or --print_config, to see the config)")
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
        command.error(str(error))
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
    from t2i_jax.training import freed_memory, loop
    from t2i_jax.training.stopping import Stopped, Stopping

    freed_memory.keep()
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
