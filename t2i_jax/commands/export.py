"""Writes a trained GAN as one folder that is drawn from alone, here or elsewhere.

The folder holds the averaged weights, the config, the tokenizer, the text encoder, a picture of
samples and a model card. t2i_jax.Sampler.from_pretrained("birds") and
python -m t2i_jax.sample --workdir=birds draw the images that the run draws. --format=stablehlo and
--format=onnx write the generator for programs that do not have this library. See docs/sharing.md.
"""

import argparse
import pathlib
from collections.abc import Sequence

import t2i_jax
from t2i_jax import paths
from t2i_jax.arguments import errors_in_a_line, warnings_in_a_line, whole
from t2i_jax.arguments import parser as command_parser
from t2i_jax.commands import captions
from t2i_jax.waiting import Waiting

_FORMATS = ("package", "stablehlo", "onnx")


_EXAMPLES = {
    "A folder, with a picture of a caption in it": "--workdir=runs/birds --out=birds \\\n"
    '      --caption "a small red bird"',
    "The same, uploaded to the Hugging Face Hub": "--workdir=runs/birds --out=birds \\\n"
    "      --license=mit --push_to_hub=ada/birds",
}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = command_parser("export", __doc__, _EXAMPLES)
    add = made.add_argument
    add("--workdir", required=True, metavar="RUN", help="the run directory of a GAN")
    add(
        "--out",
        required=True,
        metavar="DIR",
        help="the folder to write: a new one, or an earlier export",
    )
    add(
        "--format",
        choices=_FORMATS,
        default="package",
        help="package: the folder; the others: the generator alone (default: %(default)s)",
    )
    add(
        "--step",
        metavar="N",
        type=whole("step", 0, 2**31),
        help="of the checkpoint (default: the latest)",
    )
    add = made.add_argument_group("of --format=package").add_argument
    add(
        "--caption",
        action="append",
        default=[],
        metavar="TEXT",
        help="what the picture of samples shows; may be given several times (default: the captions "
        "of the training's own grids)",
    )
    add(
        "--captions_file",
        metavar="FILE",
        help="a text file with one caption a line; empty lines are skipped",
    )
    add(
        "--license",
        metavar="NAME",
        default="",
        help="of the weights, as the Hub names it: mit, cc-by-4.0, other",
    )
    add("--push_to_hub", metavar="USER/NAME", help="also upload the folder to the Hugging Face Hub")
    add("--private", action="store_true", help="whether a new repository there is private")
    return made


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments, `caption` with the lines of the captions file. Exits with status 2 where they do
    not fit each other.
    """
    command = parser()
    args = command.parse_args(argv)
    if args.private and not args.push_to_hub:
        command.error("--private is for --push_to_hub")
    if args.format != "package":
        for flag in ("caption", "captions_file", "license", "push_to_hub"):
            if getattr(args, flag):
                command.error(f"--{flag} is for --format=package")
    captions.add_lines(command, args)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Writes; exits with status 2 and one line where the user's input is wrong."""
    args = parse(argv)
    with errors_in_a_line(ValueError, OSError), warnings_in_a_line(t2i_jax.CaptionWarning):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Writes what the arguments ask for; prints the name of every file, and how to go on."""
    out = paths.local(args.out, "exported folders")
    if args.format != "package":
        with Waiting(f"writing the generator of {args.workdir} as {args.format}"):
            files = _generator(args, out)
        for file in files:
            print(f"wrote {file}")
        return
    from t2i_jax.exporting import hub, package
    from t2i_jax.training import exported

    name = args.push_to_hub or ""
    if name:
        hub.check_name(name)
    with Waiting(f"exporting {args.workdir}"):
        files = package.write(args.workdir, out, args.step, args.caption, args.license, name)
    for file in files:
        print(f"wrote {file}")
    if out / exported.PICTURE not in files:
        print(
            "the run keeps no grid of samples of this step, and the card shows none: give --caption"
        )
    if name:
        print(f"pushed to {hub.push(out, name, args.private or None)}")
    place = name or str(out)
    print(f"draw from it: t2i_jax.Sampler.from_pretrained({place!r}), in Python")


def _generator(args: argparse.Namespace, out: pathlib.Path) -> list[pathlib.Path]:
    sampler = t2i_jax.Sampler.from_workdir(args.workdir, args.step)
    if args.format == "stablehlo":
        from t2i_jax.exporting import stablehlo

        return stablehlo.write(sampler, out)
    from t2i_jax.exporting import onnx

    return onnx.write(sampler, out)
