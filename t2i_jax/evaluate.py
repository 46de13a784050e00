"""Command line: evaluates a trained run by a named protocol.

    python -m t2i_jax.evaluate --protocol=tsne --workdir=runs/birds --out=DIR

Samples are drawn from captions of the data set's held-out split and are a function of the seed and
their index. Writes DIR/<protocol>.json, which says what was computed from what, and pictures.

tsne: the mode-collapse check of StackGAN-v2. Samples laid out by t-SNE, so that regions of
near-identical images show; how near they are to each other against real images. Needs the extra
"eval" (scikit-learn).

text_probe: which attributes of the toy birds a linear classifier finds in the sentence vectors of
their captions. --workdir is the run of a text encoder, or of a GAN, whose encoder is then probed.

retrieval: how well real held-out images and their captions find each other, by the encoders that a
DAMSM's or a char-CNN-RNN's run trained, or by the discriminator of XMC-GAN's.

toy_attributes: whether samples show what captions of toy birds state, read by the classifier of
--classifier (configs/toy_attributes.py); and how varied the samples of one caption are.
"""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

import t2i_jax
from t2i_jax import paths, pictures
from t2i_jax.arguments import MANY, SEED, whole
from t2i_jax.config import suggest
from t2i_jax.data.catalog import NotPrepared
from t2i_jax.data.text_files import caption_lines
from t2i_jax.evaluation import (
    attribute_reader,
    features,
    retrieval,
    text_probe,
    toy_attributes,
    tsne,
)
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.evaluation.subject import Subject, latest_step
from t2i_jax.training import build, runs

# Numbers (JSON types), pictures by name, and what is printed.
Result = tuple[dict, dict[str, Image.Image], str]


def _tsne(args: argparse.Namespace) -> Result:
    return (*tsne.evaluate(_subject(args), features.load(args.features)), "")


def _text_probe(args: argparse.Namespace) -> Result:
    return text_probe.evaluate(args.workdir, args.num, args.seed)


def _retrieval(args: argparse.Namespace) -> Result:
    config = _at(args, runs.read_config(args.workdir))
    return retrieval.evaluate(args.workdir, config, args.step, args.num, args.seed, args.split)


def _toy_attributes(args: argparse.Namespace) -> Result:
    if not args.classifier:
        raise ValueError(
            "--protocol=toy_attributes needs --classifier=RUN, a run of configs/toy_attributes.py"
        )
    step, sampler = _sampler(args)
    config = sampler.config
    if not config.encoder.name:
        raise ValueError(f"{args.workdir}: a run of {config.system!r} that reads no captions")
    setup = toy_attributes.Setup(
        draw=lambda captions, seed, num: _draw(sampler, captions, seed, num),
        num=args.num,
        seed=args.seed,
        describe={"workdir": args.workdir, "system": config.system, "step": step},
    )
    reader = attribute_reader.load(args.classifier)
    return toy_attributes.evaluate(setup, reader, features.load(args.features))


class Protocol(NamedTuple):
    """An evaluation, and the options that it does not look at."""

    run: Callable[[argparse.Namespace], Result]
    unread: tuple[str, ...]


PROTOCOLS = {
    "tsne": Protocol(_tsne, ("classifier",)),
    "text_probe": Protocol(
        _text_probe,
        (
            *("step", "features", "classifier"),
            *("data_dir", "split", "captions_file", "batch_size"),
        ),
    ),
    "retrieval": Protocol(_retrieval, ("features", "classifier", "captions_file", "batch_size")),
    "toy_attributes": Protocol(_toy_attributes, ("data_dir", "split", "captions_file")),
}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments. Exits with status 2 for an unknown protocol or option, and for an option that the
    protocol does not look at.
    """
    parser = argparse.ArgumentParser(
        prog="python -m t2i_jax.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--protocol", required=True, help=", ".join(PROTOCOLS))
    add("--workdir", required=True, help="the run directory")
    add("--out", default="evaluation", help="folder for the results (default: %(default)s)")
    add(
        "--num",
        type=whole("num", 1, MANY),
        default=1000,
        help="samples or records (default: %(default)s)",
    )
    add(
        "--seed",
        type=whole("seed", 0, SEED),
        default=0,
        help="of captions and noise (default: %(default)s)",
    )
    add("--step", type=whole("step", 0, 2**31), help="of the checkpoint (default: the latest)")
    add(
        "--features",
        default=features.PIXELS,
        metavar="RUN",
        help="the run directory of an encoder, whose image network sees the images; or "
        f"{features.PIXELS}, their colours at 16 x 16 (default)",
    )
    add("--classifier", default="", metavar="RUN", help="toy_attributes: what reads the images")
    add("--data_dir", help="where the data set is prepared (default: where the run had it)")
    add("--split", default="", help="of the data set (default: test, else val)")
    add("--captions_file", help="captions instead of the data set's: one a line, in turn")
    add(
        "--batch_size",
        type=whole("batch_size", 1, 4096),
        default=16,
        help="images at a time; does not change them",
    )
    args = parser.parse_args(argv)
    if args.protocol not in PROTOCOLS:
        parser.error(f"--protocol={args.protocol!r}{suggest(args.protocol, PROTOCOLS)}")
    for name in PROTOCOLS[args.protocol].unread:
        if getattr(args, name) != parser.get_default(name):
            parser.error(f"--{name} is not for --protocol={args.protocol}; leave it out")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluates and writes; exits with status 2 and one line where the user's input is wrong."""
    args = parse(argv)
    try:
        run(args)
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("T2I_JAX_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def run(args: argparse.Namespace) -> None:
    """Does what the arguments ask for; prints the name of every file it wrote."""
    out = paths.path(args.out)  # a wrong one is told before any work
    result, drawn, text = PROTOCOLS[args.protocol].run(args)
    if text:
        print(text)
    out = paths.folder(out)
    for name, picture in drawn.items():
        pictures.save(picture, out / f"{name}.png")
        print(f"wrote {out / name}.png")
    numbers = json.dumps({"protocol": args.protocol, **result}, indent=2, allow_nan=False)
    paths.write_bytes(out / f"{args.protocol}.json", f"{numbers}\n".encode())
    print(f"wrote {out / args.protocol}.json")


def _subject(args: argparse.Namespace) -> Subject:
    config = runs.read_config(args.workdir)
    step, sampler = _sampler(args)
    texts, origin, held_out = _texts(args, config)

    def draw() -> np.ndarray:
        return _draw(sampler, texts, args.seed, args.num if texts is None else 1)

    return Subject(
        workdir=args.workdir,
        system=config.system,
        step=step,
        num=args.num,
        seed=args.seed,
        captions=origin,
        draw=draw,
        real=None if held_out is None else lambda: held_out.images(args.num),
    )


def _sampler(args: argparse.Namespace) -> tuple[int, t2i_jax.Sampler]:
    """The step of the checkpoint that is evaluated, and what draws from it."""
    step = latest_step(args.workdir) if args.step is None else args.step
    return step, t2i_jax.Sampler.from_workdir(args.workdir, step, args.batch_size)


def _draw(sampler: t2i_jax.Sampler, texts, seed: int, num: int) -> np.ndarray:
    """`num` images of each text, with one line for what is said of captions."""
    _say(f"drawing {num if texts is None else num * len(texts):,} images")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", t2i_jax.CaptionWarning)
        images = sampler.sample(texts, seed, num)
    _report(caught)
    return images


def _texts(args: argparse.Namespace, config: ConfigDict):
    """What the samples are drawn from: (captions, embeddings or None; their origin in words; the
    held-out data, None where it is neither there nor asked for).
    """
    embedded = not config.encoder.name and config.data.get("text") == "embeddings"
    conditional = bool(config.encoder.name) or embedded
    lines = _captions(args.captions_file) if args.captions_file else None
    config = _at(args, config)
    try:
        held_out = HeldOut(build.data_options(config), args.split, args.seed)
    except NotPrepared as error:
        if args.data_dir or (conditional and not lines):
            raise
        _say(f"warning: no comparison with real images: {error}")
        held_out = None
    if lines:
        return [lines[i % len(lines)] for i in range(args.num)], args.captions_file, held_out
    if not conditional:
        return None, "", held_out
    texts = held_out.embeddings(args.num) if embedded else held_out.captions(args.num)
    return texts, held_out.title, held_out


def _at(args: argparse.Namespace, config: ConfigDict) -> ConfigDict:
    """The config of a run whose data lie in --data_dir, if that is given."""
    place = args.data_dir or config.data.data_dir
    return ConfigDict({**config, "data": {**config.data, "data_dir": place}})


def _captions(path: str) -> list[str]:
    lines = caption_lines(path)
    if not lines:
        raise ValueError(f"{path}: it has no captions; one a line is needed")
    return lines


def _report(caught: Sequence[warnings.WarningMessage]) -> None:
    """One line for all captions that are read in part only; they may be hundreds."""
    partly = [str(w.message) for w in caught if issubclass(w.category, t2i_jax.CaptionWarning)]
    if partly:
        _say(f"warning: captions read in part only: {len(partly):,}, such as {partly[0]}")
    for other in caught:
        if not issubclass(other.category, t2i_jax.CaptionWarning):
            _say(f"warning: {other.message}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
