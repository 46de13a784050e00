"""Evaluates a trained run by a named protocol.

Samples are drawn from captions of the data set's held-out split and are a function of the seed and
their index. Writes DIR/<protocol>.json, which says what was computed from what, and pictures; DIR
is RUN/evaluation, unless --out names another. Numbers that tables take are also added to
RUN/evaluation/results.jsonl. What a kill left of the drawing is not drawn again.

A protocol of numbers is a family and a number of samples, fid30k or kid2k (docs/evaluation.md has
what each fixes):

FAMILIES

Of images that another program made (--images), --workdir is the run whose data they are held
against; --save_samples writes a protocol's samples for other programs and computes nothing.

Other protocols:

tsne: the mode-collapse check of StackGAN-v2. Samples laid out by t-SNE, so that regions of
near-identical images show; how near they are to each other against real images. Needs the extra
"eval" (scikit-learn).

text_probe: which attributes of the toy birds a linear classifier finds in the sentence vectors of
their captions. --workdir is the run of a text encoder, or of a GAN, whose encoder is then probed.

retrieval: how well real held-out images and their captions find each other, by the encoders that a
DAMSM's or a char-CNN-RNN's run trained, or by the discriminator of XMC-GAN's.

toy_attributes: whether samples show what captions of toy birds state, read by the classifier of
--classifier (a run of the config toy_attributes); and how varied the samples of one caption are.

rating: a page for people, who choose between the images of --workdir and --against without knowing
which is whose; --ratings=A.csv,B.csv reports their choices, with the key that lies in --out.

nearest: samples beside their nearest training images, by --features: does it repeat them?

failures: the samples that fit their captions worst by --encoder, and those that fit best.

grid: captions against the same noises.

diversity: distances between ten samples of one caption, by --features and by MS-SSIM.

soa: Semantic Object Accuracy, in two steps around a detector of yours: --save_samples=DIR writes
images of captions that name COCO's classes, --images=DIR --detections=FILE.json counts what was
found in them.

style_verification: whether a style encoder's vectors tell images of one style from those of two.
--workdir is the run of a style encoder; --encoder=RUN adds the captions' vectors as the baseline.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence

from t2i_jax import multihost, owner, paths, pictures
from t2i_jax.arguments import MANY, SEED, errors_in_a_line, whole
from t2i_jax.arguments import parser as command_parser
from t2i_jax.config import suggest
from t2i_jax.evaluation import results
from t2i_jax.evaluation.extractors import pixels
from t2i_jax.evaluation.options import READS
from t2i_jax.evaluation.outcome import Outcome
from t2i_jax.evaluation.protocols import families
from t2i_jax.training import runs

# Options of every protocol.
_ALWAYS = ("protocol", "workdir", "out", "multihost", "coordinator", "num_processes", "process_id")
_POLL = 10.0  # seconds between two looks for new checkpoints


_EXAMPLES = {
    "How varied the samples of a caption are": "--protocol=diversity --num=100 "
    "--workdir=runs/birds",
    "FID of 2,000 samples, each checkpoint as it comes": "--protocol=fid2k --watch "
    "--workdir=runs/birds",
}


def parser(
    parser_class: type[argparse.ArgumentParser] = argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """The command's arguments."""
    about = __doc__.replace("FAMILIES", families.listing())
    made = command_parser("evaluate", about, _EXAMPLES, parser_class, allow_abbrev=False)
    add = made.add_argument
    protocols = [*families.FAMILIES, *READS]
    action = add("--protocol", required=True, metavar="NAME", help=", ".join(protocols))
    action.completer = lambda **_: protocols
    add("--workdir", default="", metavar="RUN", help="the run directory, which training has made")
    add("--out", default="", metavar="DIR", help="for the results (default: RUN/evaluation)")
    add(
        "--num",
        metavar="N",
        type=whole("num", 1, MANY),
        default=1000,
        help="samples or records, of protocols whose name has no number (default: %(default)s)",
    )
    add(
        "--seed",
        metavar="N",
        type=whole("seed", 0, SEED),
        default=0,
        help="of captions and noise (default: %(default)s)",
    )
    add(
        "--step",
        metavar="N",
        type=whole("step", 0, 2**31),
        help="of the checkpoint (default: the latest)",
    )
    add("--watch", action="store_true", help="evaluate each new checkpoint until training ends")
    add(
        "--features",
        default="",
        metavar="NAME",
        help="what sees the images, where the protocol does not say: the run directory of an "
        f"encoder, a network's name, or {pixels.NAME}, colours at 16 x 16 pixels (default: "
        f"{pixels.NAME}, of protocols that can do with it)",
    )
    add("--encoder", default="", metavar="RUN", help="encoders that compare images and captions")
    add(
        "--weights",
        metavar="PATH",
        help="the network's file (default: as launch/fetch_weights.sh keeps it)",
    )
    add("--classifier", default="", metavar="RUN", help="toy_attributes: what reads the images")
    add("--images", default="", metavar="DIR", help="images of another program, a folder or .npz")
    add("--save_samples", default="", metavar="DIR", help="write the samples, a folder or .npz")
    add("--against", action="append", default=[], metavar="RUN", help="rating: another run")
    add("--ratings", default="", metavar="CSV,...", help="rating: what raters sent, for a report")
    add("--detections", default="", metavar="FILE", help="soa: a detector's results, COCO's JSON")
    add("--captions_folder", default="", metavar="DIR", help="soa: the published captions")
    add("--groups", default="", metavar="FILE", help="style_verification: which style images have")
    add(
        "--data_dir",
        default="",
        metavar="DIR",
        help="where the data set is prepared (default: the run's)",
    )
    add("--split", default="", metavar="NAME", help="of the data set (default: test, else val)")
    add(
        "--captions_file",
        metavar="FILE",
        help="captions, one a line, taken in turn (default: the data set's)",
    )
    add(
        "--batch_size",
        metavar="N",
        type=whole("batch_size", 1, 4096),
        default=16,
        help="images drawn at a time; does not change them (default: %(default)s)",
    )
    add(
        "--extractor_batch_size",
        metavar="N",
        type=whole("extractor_batch_size", 1, 4096),
        default=64,
        help="images that a network sees at a time; does not change numbers (default: %(default)s)",
    )
    multihost.add_options(made)
    return made


def parse(
    argv: Sequence[str] | None = None,
    parser_class: type[argparse.ArgumentParser] = argparse.ArgumentParser,
) -> argparse.Namespace:
    """Arguments. Exits with status 2, or what `parser_class` does, for an unknown protocol or
    option, and for an option that the protocol does not look at.
    """
    command = parser(parser_class)
    args = command.parse_args(argv)
    if args.protocol in READS:
        reads = READS[args.protocol]
    elif families.is_name(args.protocol):
        try:
            reads = families.reads(args.protocol)
        except ValueError as error:
            command.error(f"--{error}")
    else:
        known = [*READS, *families.FAMILIES]
        command.error(f"--protocol={args.protocol!r}{suggest(args.protocol, known)}")
    for name in sorted({*vars(args)} - {*reads, *_ALWAYS}):
        if getattr(args, name) != command.get_default(name):
            hint = "; the number is in its name, as in fid2k" if name == "num" else ""
            command.error(f"--{name} is not for --protocol={args.protocol}; leave it out{hint}")
    if args.images and not args.out:
        command.error("--images needs --out: its results are none of a run's")
    if args.images and (args.captions_file or args.step is not None):
        command.error("--images are there already: leave out --captions_file and --step")
    if not args.workdir and not args.images:
        command.error("--workdir is needed, or --images with --out")
    if args.watch and (args.step is not None or args.images or args.save_samples):
        command.error(
            "--watch takes every checkpoint of a run: leave out --step, --images and --save_samples"
        )
    args.out = args.out or f"{args.workdir}/{results.FOLDER}"
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluates and writes; exits with status 2 and one line where the user's input is wrong."""
    args = parse(argv)
    with errors_in_a_line(ValueError, OSError, ImportError):
        with warnings.catch_warnings():
            warnings.showwarning = _show
            multihost.connect(args)
            (watch if args.watch else run)(args)


def _show(message, *_) -> None:
    print(f"warning: {message}", file=sys.stderr)


def run(args: argparse.Namespace) -> None:
    """Does what the arguments ask for; prints the name of every file it wrote."""
    if args.save_samples:
        paths.path(args.out)
        _kind(args).save_samples(args)
        print(f"wrote {args.save_samples}")
        return
    import jax

    outcome, files = found(args)
    if outcome.text and not jax.process_index():
        print(outcome.text)
    for file in files:
        print(f"wrote {file}")


def _kind(args: argparse.Namespace):
    from t2i_jax.evaluation import numbers  # jax, which --help does without
    from t2i_jax.evaluation.kinds import KINDS, Kind

    return KINDS.get(args.protocol) or Kind(numbers.evaluate, numbers.save_samples)


def found(args: argparse.Namespace) -> tuple[Outcome, list[paths.Path]]:
    """(what came out, the files that it is written to)."""
    paths.path(args.out)  # a wrong one is told before any work
    from t2i_jax.training.compilation_cache import kept

    with kept(args.workdir):
        outcome = _kind(args).run(args)
    return outcome, _write(args, outcome)


def _write(args: argparse.Namespace, outcome: Outcome) -> list[paths.Path]:
    """Writes what came out: the first process does, where there are several."""
    import jax

    if jax.process_index():
        return []
    out = paths.folder(args.out)
    files = [out / f"{name}.png" for name in outcome.pictures]
    for file, picture in zip(files, outcome.pictures.values(), strict=True):
        pictures.save(picture, file)
    name = args.protocol if outcome.record is None else outcome.record.protocol
    details = {"protocol": name, **outcome.details, "packages": results.packages()}
    text = json.dumps(details, indent=2, allow_nan=False)
    files.append(out / f"{name}.json")
    paths.write_bytes(files[-1], f"{text}\n".encode())
    if outcome.record is not None:
        run = {**outcome.record.conditions.get("run", {}), "options": made_by(args)["options"]}
        record = dataclasses.replace(
            outcome.record, conditions={**outcome.record.conditions, "run": run}
        )
        own = not args.images and os.access(args.workdir, os.W_OK)
        results.append(f"{args.workdir}/{results.FOLDER}" if own else args.out, record)
    return files


def watch(args: argparse.Namespace) -> None:
    """Evaluates every checkpoint that has no number of this protocol yet, as they come, until
    nothing trains in the run any more.
    """
    known, _ = results.read(f"{args.workdir}/{results.FOLDER}")
    done = {r.step for r in known if is_of(r, made_by(args))}
    while True:
        ended = not owner.is_owned(args.workdir)  # before the look, or the last one is missed
        steps = [step for step in runs.steps(args.workdir) if step not in done]
        for step in steps:
            run(argparse.Namespace(**{**vars(args), "step": step}))
            done.add(step)
        if ended and not steps:
            print(f"nothing trains in {args.workdir}; {len(done)} checkpoints are evaluated")
            return
        time.sleep(0 if steps else _POLL)


def made_by(args: argparse.Namespace) -> dict:
    """What was asked for, beside which run and checkpoint: "protocol", as records name it, and
    "options".
    """
    apart = {*_ALWAYS, "step", "watch", "batch_size", "extractor_batch_size", "data_dir"}
    named = args.protocol in READS
    return {
        "protocol": args.protocol if named else families.load(args.protocol).name,
        "options": {k: v for k, v in sorted(vars(args).items()) if k not in apart and v},
    }


def is_of(record: results.Record, made: dict) -> bool:
    """Whether a record is of what `made_by` says, of whatever checkpoint."""
    options = record.conditions.get("run", {}).get("options")
    return {"protocol": record.protocol, "options": options} == made
