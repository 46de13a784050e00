"""Captions of a command line: some given one by one, some in a file."""

import argparse

from t2i_jax.data.text_files import caption_lines


def add_lines(command: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Adds the lines of ``args.captions_file``, if there is one, to ``args.caption``. Exits with
    status 2 where it cannot be read.
    """
    try:
        args.caption += caption_lines(args.captions_file) if args.captions_file else []
    except (OSError, ValueError) as error:
        command.error(f"--captions_file: {error}")
