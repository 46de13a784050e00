"""Protocols that are more than a table of numbers, as the command line calls them."""

import argparse
from collections.abc import Callable
from typing import NamedTuple

from t2i_jax.evaluation import (
    attribute_reader,
    features,
    retrieval,
    text_probe,
    toy_attributes,
    tsne,
)
from t2i_jax.evaluation.numbers import of_args
from t2i_jax.evaluation.outcome import Outcome
from t2i_jax.evaluation.results import Record
from t2i_jax.evaluation.trained_run import placed, say
from t2i_jax.training import runs


class Kind(NamedTuple):
    """An evaluation, and the options that it does not look at."""

    run: Callable[[argparse.Namespace], Outcome]
    unread: tuple[str, ...]


def _tsne(args: argparse.Namespace) -> Outcome:
    details, pictures = tsne.evaluate(of_args(args).subject(args.num), features.load(args.features))
    return Outcome(details=details, pictures=pictures)


def _text_probe(args: argparse.Namespace) -> Outcome:
    details, pictures, text = text_probe.evaluate(args.workdir, args.num, args.seed)
    return Outcome(details=details, pictures=pictures, text=text)


def _retrieval(args: argparse.Namespace) -> Outcome:
    config = placed(runs.read_config(args.workdir), args.data_dir)
    details, pictures, text = retrieval.evaluate(
        args.workdir, config, args.step, args.num, args.seed, args.split
    )
    return Outcome(details=details, pictures=pictures, text=text)


def _toy_attributes(args: argparse.Namespace) -> Outcome:
    if not args.classifier:
        raise ValueError(
            "--protocol=toy_attributes needs --classifier=RUN, a run of configs/toy_attributes.py"
        )
    run = of_args(args)
    sampler = run.sampler
    if not run.config.encoder.name:
        raise ValueError(f"{args.workdir}: a run of {run.config.system!r} that reads no captions")

    def draw(captions, seed: int, num: int):
        say(f"drawing {num * len(captions):,} images")
        return run.draw(captions, seed, num)

    setup = toy_attributes.Setup(
        draw=draw,
        num=args.num,
        seed=args.seed,
        describe={"workdir": args.workdir, "system": sampler.config.system, "step": run.step},
    )
    reader = attribute_reader.load(args.classifier)
    seen_by = features.load(args.features)
    details, pictures, text = toy_attributes.evaluate(setup, reader, seen_by)
    record = Record(
        protocol="toy_attributes",
        step=run.step,
        values=toy_attributes.values(details),
        conditions={
            **run.identity,
            **{name: details[name] for name in ("n", "seed", "classifier")},
            "features": seen_by.name,
        },
    )
    return Outcome(details=details, pictures=pictures, text=text, record=record)


KINDS = {
    "tsne": Kind(_tsne, ("classifier",)),
    "text_probe": Kind(
        _text_probe,
        (
            *("step", "features", "classifier"),
            *("data_dir", "split", "captions_file", "batch_size"),
        ),
    ),
    "retrieval": Kind(_retrieval, ("features", "classifier", "captions_file", "batch_size")),
    "toy_attributes": Kind(_toy_attributes, ("data_dir", "split", "captions_file")),
}
