"""Serves a page in the browser to draw with a trained run.

One types captions, chooses seeds, moves from one caption or seed to another, and sees where words
were read. The page is for this machine alone, at http://127.0.0.1:7860 or the next free port, and
asks nothing of any other: from a server, tunnel it with ssh -L 7860:127.0.0.1:7860 SERVER.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import os
import threading
from collections.abc import Sequence

from ml_collections import ConfigDict

from t2i_jax.arguments import errors_in_a_line, whole
from t2i_jax.arguments import parser as command_parser

_EXAMPLES = 6
_BATCH = 4  # images drawn at a time

_SHOWN = {
    "Draw with the latest checkpoint of a run": "--workdir=runs/birds",
    "With captions to click on, at another port": "--workdir=runs/birds --port=8000 \\\n"
    '      --caption "a small red bird" --caption "a blue bird with a white belly"',
}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command_parser("demo", __doc__, _SHOWN)
    add = made.add_argument
    source = made.add_mutually_exclusive_group(required=True).add_argument
    source("--workdir", metavar="RUN", help="the run directory of a GAN, or an exported folder")
    source("--pretrained", metavar="NAME", help="an exported folder, here or USER/NAME on the Hub")
    add(
        "--step",
        metavar="N",
        type=whole("step", 0, 2**31),
        help="of the checkpoint (default: the latest)",
    )
    add(
        "--caption",
        action="append",
        default=[],
        metavar="TEXT",
        help="an example to click on; may be given several times (default: some that the training "
        "did not see, where its data is on this machine)",
    )
    add(
        "--data_dir",
        metavar="DIR",
        help="where the data set is prepared (default: where the run had it)",
    )
    add(
        "--port",
        metavar="N",
        type=whole("port", 1, 65535),
        help="of the page (default: the first from 7860 on that is free)",
    )
    add(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="the address to serve at; 0.0.0.0: everybody who reaches this machine can draw "
        "(default: %(default)s)",
    )
    add(
        "--share",
        action="store_true",
        help="also at a public address, by a tunnel through gradio's servers: whoever has it can "
        "draw",
    )
    return made


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments; exits with status 2 where they are wrong."""
    command = parser()
    args = command.parse_args(argv)
    if args.pretrained is not None and args.step is not None:
        command.error("--step is for --workdir: an exported folder has one step")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Serves until it is interrupted; exits with status 2 and one line where the user's input is
    wrong.
    """
    args = parse(argv)
    with errors_in_a_line(ValueError, OSError, ModuleNotFoundError):
        run(args, threading.Event())


def run(args: argparse.Namespace, ended: threading.Event) -> None:
    """Serves the page until `ended`, or Ctrl-C. Prints what it waits for, and the address."""
    if not importlib.util.find_spec("gradio"):
        raise ModuleNotFoundError("the page needs gradio: pip install 't2i_jax[demo]'")
    from t2i_jax.demo_page import artist, facts, page, serving
    from t2i_jax.sampler import Sampler
    from t2i_jax.training import runs

    serving.check_address(args.host, args.port)  # a wrong one is told before anything is compiled
    name = args.workdir if args.pretrained is None else args.pretrained
    _say(f"reading {name}")
    workdir = args.workdir if args.pretrained is None else _exported(args.pretrained)
    config = runs.read_config(workdir)
    artist.check_typed(config)
    step = runs.latest_step(workdir) if args.step is None else args.step
    sampler = Sampler.from_workdir(workdir, step, _BATCH)
    examples = args.caption or _held_out(config, args.data_dir)
    _say("compiling; for large networks this takes minutes")
    drawing = artist.compiled(sampler, next(iter(examples), None))
    _say(f"compiled in {drawing.seconds:.1f} s")
    about = facts.facts(workdir, name, step, sampler, drawing)
    blocks = page.page(drawing, f"{config.system} on {config.data.name}", about, examples)
    addresses = serving.serve(blocks, args.host, args.port, args.share)
    _say(f"the page is ready: {' and '.join(addresses)} (Ctrl-C ends it)")
    with contextlib.suppress(KeyboardInterrupt):
        ended.wait()
    blocks.close(verbose=False)


def _exported(name: str) -> os.PathLike:
    from t2i_jax.exporting import hub
    from t2i_jax.training import exported

    folder = hub.folder(name)
    exported.check(folder)
    return folder


def _held_out(config: ConfigDict, data_dir: str | None) -> list[str]:
    """Captions that the training did not see; none where its data is not here."""
    from t2i_jax.data.report import DataError
    from t2i_jax.evaluation.held_out import HeldOut
    from t2i_jax.training.build import data_options

    if not config.encoder.name:
        return []
    options = data_options(config)
    options = dataclasses.replace(options, data_dir=data_dir or options.data_dir)
    try:
        return HeldOut(options).captions(_EXAMPLES)
    except DataError as error:
        if data_dir:
            raise
        _say(f"no examples of captions ({' '.join(str(error).split())}); --caption gives some")
        return []


def _say(line: str) -> None:
    print(line, flush=True)
