"""Makes a data set for training, of downloaded files or of your own photos with captions.

  toy_birds, toy_birds_mixed  birds that the package draws: nothing to download
  cub, flowers                CUB-200-2011, Oxford-102 Flowers
  coco, coco2017              MS COCO
  ln_coco, ln_openimages      Localized Narratives
  folder                      photos and captions of your own

docs/data.md says where the others are had and how their files must lie in the folder --source.
What was repaired or skipped is shown, and saved as prepare_report.json in the prepared folder.
"""

import argparse
import contextlib
import os
import sys

from rich.console import Console

from t2i_jax.arguments import SEED, whole
from t2i_jax.arguments import parser as command_parser
from t2i_jax.data import catalog, matching, preview
from t2i_jax.data.report import DataError, Report

_EXAMPLES = {
    "Birds that the package draws: no download": "--dataset=toy_birds --num_images=5000 "
    "--data_dir=data",
    "A folder of your own, for pictures of up to 256 pixels": "--dataset=folder "
    "--source=photos --max_side=304 \\\n      --data_dir=data --preview=preview.png",
}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    p = command_parser("prepare", __doc__, _EXAMPLES)
    names = ", ".join(catalog.DATASETS)
    p.add_argument(
        "--dataset",
        required=True,
        metavar="NAME",
        help=f"{names}, or a module with a builder of your own, such as mylab.my_birds",
    ).completer = lambda **_: list(catalog.DATASETS)
    p.add_argument("--source", metavar="DIR", help="the folder with the data set's own files")
    p.add_argument(
        "--images",
        metavar="DIR",
        help="the folder with the pictures (default: the source; coco, ln_*)",
    )
    p.add_argument(
        "--name", default="", help="what a folder's set is called (default: the folder's name)"
    )
    p.add_argument(
        "--data_dir", required=True, metavar="DIR", help="where prepared data sets are kept"
    )
    p.add_argument(
        "--split_kind",
        default="",
        metavar="KIND",
        help="disjoint (default) or official (cub, flowers)",
    )
    p.add_argument(
        "--max_side",
        type=whole("max_side", 8, 65_536),
        metavar="N",
        help="store images shrunk until the short side (of the crop around the box, where there "
        "is one) has N pixels; 304 serves 256-pixel training, 152 serves 128, 76 serves 64 "
        "(default: as they are)",
    )
    p.add_argument("--strict", action="store_true", help="fail instead of repairing or skipping")
    p.add_argument("--overwrite", action="store_true", help="prepare again what is there")
    p.add_argument("--preview", metavar="PNG", help="draw some records with their captions")
    own = p.add_argument_group("options of single data sets")
    flag = {"action": "store_true", "default": None}
    own.add_argument("--embeddings", **flag, help="store char-CNN-RNN vectors (cub, flowers)")
    own.add_argument("--traces", **flag, help="store pointer traces and times (ln_*)")
    own.add_argument("--no_captions", **flag, help="images need no captions (folder)")
    own.add_argument(
        "--test_share",
        type=float,
        metavar="SHARE",
        help="images held out as a split `test` where the source has none, 0 to 0.5, of all "
        "(folder; default: 0.1)",
    )
    own.add_argument(
        "--num_images",
        metavar="N",
        type=whole("num_images", 1, 10**8),
        help="train and test together (toy_birds*; default: 5000)",
    )
    own.add_argument(
        "--size",
        metavar="N",
        type=whole("size", 8, 1024),
        help="pixels a side (toy_birds*; default: 96)",
    )
    own.add_argument(
        "--seed",
        metavar="N",
        type=whole("seed", 0, SEED),
        help="of the generator (toy_birds*; default: 0)",
    )
    return p


OPTIONS = ("embeddings", "traces", "no_captions", "test_share", "num_images", "size", "seed")


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    args = parser().parse_args(argv)
    with contextlib.suppress(AttributeError):  # of a notebook
        sys.stdout.reconfigure(errors="backslashreplace")  # for paths that are not UTF-8
    console = Console(stderr=True)
    try:
        return _run(args, console)
    except KeyboardInterrupt:
        _say("interrupted; what was prepared before is as it was", "red", console)
        return 130
    except Exception as error:
        if report := getattr(error, "report", None):
            _show(report, console)
        if not isinstance(error, DataError) and os.environ.get("T2I_JAX_TRACEBACK"):
            raise
        kind = "" if isinstance(error, DataError | OSError) else f"{type(error).__name__}: "
        _say(f"error: {kind}{error}", "red", console)
        return 1


def _run(args: argparse.Namespace, console: Console) -> int:
    options = {k: getattr(args, k) for k in OPTIONS if getattr(args, k) is not None}
    anew = args.source or args.overwrite or args.strict
    if args.preview and not anew and matching.needs_source(args.dataset):
        name = matching.prepared(
            args.dataset,
            args.data_dir,
            called=args.name,
            split_kind=args.split_kind,
            max_side=args.max_side,
            **options,
        )
        return _draw(name, args, console)
    report = catalog.prepare(
        args.dataset,
        args.source,
        args.data_dir,
        max_side=args.max_side,
        strict=args.strict,
        split_kind=args.split_kind,
        images=args.images,
        called=args.name,
        overwrite=args.overwrite,
        console=console,
        **options,
    )
    _show(report, console)
    if report.already:
        print(f"{report.path} is already prepared; nothing done (--overwrite makes it anew).")
    else:
        print(f"prepared {report.path}")
    if args.preview:
        return _draw(report.name, args, console)
    return 0


def _draw(name: str, args: argparse.Namespace, console: Console) -> int:
    """Draws the preview of a prepared set; returns the command's exit status."""
    try:
        names = catalog.split_names(name, args.data_dir)
        splits = [catalog.open_split(name, args.data_dir, split) for split in names]
        preview.draw(splits, args.preview)
    except (ValueError, OSError) as error:
        _say(f"error: no preview: {error}", "red", console)
        return 1
    print(f"drew {args.preview} of {name}")
    return 0


def _show(report: Report, console: Console) -> None:
    for table in report.tables():
        console.print(table)
    for line in report.told:
        _say(line, "", console)
    for warning in report.warnings:
        _say(f"warning: {warning}", "yellow", console)


def _say(text: str, style: str, console: Console) -> None:
    # Unwrapped, so that paths and commands can be copied from a log.
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
