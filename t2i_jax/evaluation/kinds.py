"""Protocols that are more than a table of numbers, as the command line calls them."""

import argparse
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from rich.console import Console

from t2i_jax.data.prepared import captions_of
from t2i_jax.evaluation import (
    attribute_reader,
    diversity,
    looking,
    retrieval,
    semantic_objects,
    style_verification,
    text_probe,
    toy_attributes,
    tsne,
)
from t2i_jax.evaluation.extractors import registry
from t2i_jax.evaluation.extractors.base import Extractor
from t2i_jax.evaluation.extractors.pixels import NAME as PIXELS
from t2i_jax.evaluation.metrics import soa_captions
from t2i_jax.evaluation.numbers import of_args
from t2i_jax.evaluation.outcome import Outcome
from t2i_jax.evaluation.results import Record
from t2i_jax.evaluation.trained_run import placed, say
from t2i_jax.training import runs


class Kind(NamedTuple):
    """An evaluation. reads: the options that it looks at, beside protocol, run and folder.
    save_samples: writes its samples for other programs, where it has some.
    """

    run: Callable[[argparse.Namespace], Outcome]
    reads: tuple[str, ...]
    save_samples: Callable[[argparse.Namespace], None] | None = None


def _tsne(args: argparse.Namespace) -> Outcome:
    details, pictures = tsne.evaluate(of_args(args).subject(args.num), _features(args))
    return Outcome(details=details, pictures=pictures)


def _features(args: argparse.Namespace) -> Extractor:
    return registry.load(args.features or PIXELS, args.weights, args.extractor_batch_size)


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
    seen_by = _features(args)
    details, pictures, text = toy_attributes.evaluate(setup, reader, seen_by)
    record = Record(
        protocol="toy_attributes",
        step=run.step,
        values=toy_attributes.values(details),
        conditions={
            "run": run.identity,
            **{name: details[name] for name in ("n", "seed", "classifier")},
            "features": seen_by.name,
        },
    )
    return Outcome(details=details, pictures=pictures, text=text, record=record)


def _diversity(args: argparse.Namespace) -> Outcome:
    run, console = of_args(args), Console(stderr=True)
    extractor = _features(args)
    layer = registry.usual_layer(extractor.widths)
    listed = run.captions_of_file()
    held_out = None if listed else run.held_out()
    captions = (listed or held_out.captions(args.num))[: args.num]

    def samples(i: int) -> np.ndarray:
        first = i * diversity.SAMPLES
        return run.draw([captions[i]], args.seed, diversity.SAMPLES, first)

    title = f"captions, {diversity.SAMPLES} samples each"
    found = diversity.evaluate(samples, len(captions), extractor, layer, console, title)
    values = dict(found.values)
    if held_out is not None:
        groups = min(len(captions), len(held_out) // diversity.SAMPLES)
        if groups:
            real = diversity.evaluate(
                lambda i: held_out.images(diversity.SAMPLES, i * diversity.SAMPLES),
                groups,
                extractor,
                layer,
            )
            values |= {f"{name}_of_real": value for name, value in real.values.items()}
    record = Record(
        protocol="diversity",
        step=run.step,
        values=values,
        lower_is_better=diversity.LOWER_IS_BETTER,
        conditions={
            "run": run.identity,
            "captions": len(captions),
            "samples": diversity.SAMPLES,
            "seed": args.seed,
            "extractor": extractor.name,
            "extractor_digest": extractor.digest,
            "layer": layer,
        },
    )
    worst = sorted(zip(found.each, captions, strict=True))[:10]
    details = {"values": values, "conditions": record.conditions, "least_varied": worst}
    text = "\n".join(f"{name:28} {value:.6g}" for name, value in values.items())
    return Outcome(details=details, text=text, record=record)


def _soa(args: argparse.Namespace) -> Outcome:
    if not (args.images and args.detections):
        raise ValueError(
            "--protocol=soa first writes images (--save_samples=DIR), then reads what a detector "
            "found in them (--images=DIR --detections=FILE.json)"
        )
    values, details = semantic_objects.read(args.images, args.detections)
    record = Record(
        protocol="soa",
        step=None,
        values=values,
        conditions={"images": args.images, "detections": args.detections, **details},
    )
    text = "\n".join(f"{k:20} {'-' if v is None else f'{v:.2%}'}" for k, v in values.items())
    return Outcome(details={"values": values, **details}, text=text, record=record)


def _soa_samples(args: argparse.Namespace) -> None:
    run = of_args(args)
    if args.captions_folder:
        captions = soa_captions.published(args.captions_folder)
    else:
        every = run.captions_of_file()
        if every is None:
            every = itertools.chain.from_iterable(captions_of(run.held_out().source))
        captions = soa_captions.by_names(every)
        say("captions by the names in them, which is not the published list of SOA")
    categories, texts = semantic_objects.requests(captions, args.seed)
    if not texts:
        raise ValueError("no caption names one of COCO's 80 classes: there is nothing to draw")
    images = run.samples_of(texts)
    semantic_objects.write(
        images, categories, args.save_samples, args.batch_size, Console(stderr=True)
    )


def _style_verification(args: argparse.Namespace) -> Outcome:
    run = of_args(args)
    details, values, text = style_verification.evaluate(
        args.workdir, run.held_out(), args.num, args.seed, args.groups, args.encoder
    )
    record = Record(
        protocol="style_verification",
        step=run.step,
        values=values,
        conditions={k: details[k] for k in ("workdir", "data", "images", "seed", "groups")},
    )
    return Outcome(details=details, text=text, record=record)


_DRAWN = ("seed", "step", "watch", "data_dir", "split", "captions_file", "batch_size")
_SEEN = ("features", "weights", "extractor_batch_size")

KINDS = {
    "tsne": Kind(_tsne, ("num", *_DRAWN, *_SEEN)),
    "text_probe": Kind(_text_probe, ("num", "seed")),
    "retrieval": Kind(_retrieval, ("num", "seed", "step", "watch", "data_dir", "split")),
    "toy_attributes": Kind(
        _toy_attributes, ("num", "seed", "step", "watch", "classifier", "batch_size", *_SEEN)
    ),
    "rating": Kind(looking.rated, ("num", "against", "ratings", *_DRAWN)),
    "nearest": Kind(looking.nearest_images, ("num", *_DRAWN, *_SEEN)),
    "failures": Kind(looking.worst, ("num", "encoder", "extractor_batch_size", *_DRAWN)),
    "grid": Kind(looking.grid, ("num", *_DRAWN)),
    "diversity": Kind(_diversity, ("num", *_DRAWN, *_SEEN)),
    "soa": Kind(_soa, (*_DRAWN, "images", "detections", "captions_folder"), _soa_samples),
    "style_verification": Kind(
        _style_verification, ("num", "seed", "step", "data_dir", "split", "groups", "encoder")
    ),
}
