"""Compares the runs of a sweep on one page.

DIR is the --workdir of a sweep (DIR/seed0/POINT or DIR/POINT), or several run directories.
Writes report.html, one file that fetches nothing: the points' numbers over their seeds, curves,
samples of the same captions and noise, costs; and report.md and report.csv (a row a run). Samples
are drawn on this machine from the latest checkpoints, once each: they stay in the runs' evaluation
folders. Nothing else of the runs is changed.
"""

import argparse
import dataclasses
import functools
import sys
import warnings
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

import t2i_jax
from t2i_jax import paths
from t2i_jax.arguments import SEED, errors_in_a_line, whole
from t2i_jax.arguments import parser as command_parser
from t2i_jax.data.text_files import caption_lines
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.reporting import page, samples, table, text
from t2i_jax.reporting.gather import Sweep, gather
from t2i_jax.reporting.run_files import Run
from t2i_jax.training import files, runs

_EXAMPLES = {
    "All runs of a sweep; open runs/losses/report.html": "runs/losses",
    "Two runs, by two numbers": "runs/a runs/b --out=compared \\\n"
    "      --columns=fid2k/fid,diversity/mean_distance",
}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command_parser("report", __doc__, _EXAMPLES)
    add = made.add_argument
    add("folders", nargs="+", metavar="DIR", help="the folder of a sweep, or run directories")
    add("--out", metavar="DIR", help="folder for the report (default: DIR, where it is one)")
    add(
        "--num",
        metavar="N",
        type=whole("num", 0, 64),
        default=8,
        help="captions to draw from; 0: show the grids of the trainings (default: %(default)s)",
    )
    add(
        "--seed",
        metavar="N",
        type=whole("seed", 0, SEED),
        default=0,
        help="of captions and noise (default: %(default)s)",
    )
    add(
        "--captions_file",
        metavar="FILE",
        help="captions, the first --num of its lines (default: held-out ones)",
    )
    add(
        "--columns",
        metavar="PROTOCOL/NAME,...",
        help="the columns of numbers, in this order (default: all)",
    )
    add(
        "--data_dir",
        metavar="DIR",
        help="where the data set is prepared (default: where the runs had it)",
    )
    return made


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments; exits with status 2 where they do not fit each other."""
    command = parser()
    args = command.parse_args(argv)
    if len(args.folders) > 1 and not args.out:
        command.error("--out=DIR is needed for more than one folder")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the report; exits with status 2 and one line where the user's input is wrong."""
    args = parse(argv)
    with errors_in_a_line(ValueError, OSError):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Does what the arguments ask for; prints the name of every file it wrote."""
    out = paths.path(args.out or args.folders[0])  # a wrong one is told before any work
    given = caption_lines(args.captions_file) if args.captions_file else None
    if given == []:
        raise ValueError(f"{args.captions_file}: it has no captions; one a line is needed")
    sweep = gather(args.folders)
    for note in sweep.notes:
        _say(f"warning: {note}")
    columns = table.columns(sweep)
    if args.columns is not None:
        columns = table.picked(columns, [name.strip() for name in args.columns.split(",")])
    asked, why = _asked(args, sweep, given)
    draw = functools.partial(_draw, data_dir=args.data_dir, held_out=given is None)
    drawn = {one.key: samples.drawn(one, asked, draw) for one in sweep.runs}
    out = paths.folder(out)
    for name, content in (
        ("html", page.page(sweep, columns, asked, drawn, why)),
        ("md", text.markdown(sweep, columns)),
        ("csv", text.table_csv(text.rows(sweep, columns))),
    ):
        files.write(out / f"report.{name}", content)
        print(f"wrote {out / f'report.{name}'}")


def _asked(
    args: argparse.Namespace, sweep: Sweep, given: Sequence[str] | None
) -> tuple[samples.Asked | None, str]:
    """What all runs are to draw; or None, and why not."""
    if not args.num:
        return None, "no samples were asked for (--num=0)."
    if given:
        return samples.Asked(
            tuple(given[: args.num]), f"those of {args.captions_file}", args.seed
        ), ""
    reading = [one for one in sweep.runs if _reads_text(one)]
    if not reading:
        return samples.Asked(("",) * args.num, "", args.seed), ""
    problems = []
    for one in reading:
        try:
            held_out = _held_out(runs.read_config(one.workdir), args.data_dir, args.seed)
            captions = tuple(held_out.captions(args.num))
            return samples.Asked(captions, f"those of {held_out.title}", args.seed), ""
        except (ValueError, OSError) as error:
            problems.append(" ".join(str(error).split()))
    return None, f"there are no captions to draw from: {problems[0]}"


def _reads_text(one: Run) -> bool:
    return bool(one.config.get("encoder.name")) or one.config.get("data.text") == "embeddings"


def _held_out(config: ConfigDict, data_dir: str | None, seed: int) -> HeldOut:
    from t2i_jax.training.build import data_options  # jax, which a page of old samples does without

    options = data_options(config)
    return HeldOut(dataclasses.replace(options, data_dir=data_dir or options.data_dir), seed=seed)


def _draw(
    one: Run, step: int, asked: samples.Asked, data_dir: str | None, held_out: bool
) -> np.ndarray:
    """The images of a run. held_out: whether the captions are those of its data set, which may be
    stored as embeddings.
    """
    _say(f"drawing {len(asked.captions)} images: {one.workdir}, step {step}")
    sampler = t2i_jax.Sampler.from_workdir(one.workdir, step)
    if not _reads_text(one):
        return sampler.sample(None, asked.seed, len(asked.captions))
    texts = list(asked.captions)
    if held_out and not sampler.config.encoder.name:
        texts = _held_out(sampler.config, data_dir, asked.seed).embeddings(len(texts))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", t2i_jax.CaptionWarning)
        images = sampler.sample(texts, asked.seed)
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        _say(f"warning: {message}")
    return images


def _say(line: str) -> None:
    print(line, file=sys.stderr)
