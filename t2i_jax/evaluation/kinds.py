"""Protocols that are more than a table of numbers, as the command line calls them: those of
`t2i_jax.evaluation.options`.
"""

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
from t2i_jax.evaluation.extractors.base import Extractor, usual_layer
from t2i_jax.evaluation.extractors.pixels import NAME as PIXELS
from t2i_jax.evaluation.image_sets import described
from t2i_jax.evaluation.metrics import soa_captions
from t2i_jax.evaluation.metrics.soa import THRESHOLD
from t2i_jax.evaluation.numbers import of_args
from t2i_jax.evaluation.outcome import Outcome
from t2i_jax.evaluation.results import Record
from t2i_jax.evaluation.trained_run import placed, say
from t2i_jax.training import runs
from t2i_jax.waiting import Waiting


class Kind(NamedTuple):
    """An evaluation. save_samples: writes its samples for other programs, where it has some."""

    run: Callable[[argparse.Namespace], Outcome]
    save_samples: Callable[[argparse.Namespace], None] | None = None


def _tsne(args: argparse.Namespace) -> Outcome:
    details, pictures = tsne.evaluate(of_args(args).subject(args.num), _features(args))
    return Outcome(details=details, pictures=pictures)


def _features(args: argparse.Namespace) -> Extractor:
    return registry.load(args.features or PIXELS, args.weights, args.extractor_batch_size)


def _text_probe(args: argparse.Namespace) -> Outcome:
    with Waiting("reading the vectors of captions"):
        details, pictures, text = text_probe.evaluate(args.workdir, args.num, args.seed)
    return Outcome(details=details, pictures=pictures, text=text)


def _retrieval(args: argparse.Namespace) -> Outcome:
    config = placed(runs.read_config(args.workdir), args.data_dir)
    with Waiting("comparing images and captions"):
        details, pictures, text = retrieval.evaluate(
            args.workdir, config, args.step, args.num, args.seed, args.split
        )
    record = Record(
        protocol="retrieval",
        step=details["step"],
        values={
            f"{name}_{which}_recall_at_{k}": row[f"recall_at_{k}"]["share"]
            for name, directions in details["comparisons"].items()
            for which, row in directions.items()
            for k in retrieval.RANKS
        },
        conditions={
            "run": {"workdir": args.workdir},
            **{name: details[name] for name in ("data", "pool", "seed")},
        },
    )
    return Outcome(details=details, pictures=pictures, text=text, record=record)


def _toy_attributes(args: argparse.Namespace) -> Outcome:
    if not args.classifier:
        raise ValueError(
            "--protocol=toy_attributes needs --classifier=RUN, a run of the config toy_attributes"
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
    with Waiting("drawing and looking"):
        details, pictures, text = toy_attributes.evaluate(setup, reader, seen_by)
    record = Record(
        protocol="toy_attributes",
        step=run.step,
        values=toy_attributes.values(details),
        conditions={
            "run": {**run.identity, "classifier": args.classifier},
            **{name: details[name] for name in ("n", "seed")},
            "classifier_digest": reader.digest,
            "features": seen_by.name,
            "features_digest": seen_by.digest,
        },
    )
    return Outcome(details=details, pictures=pictures, text=text, record=record)


def _diversity(args: argparse.Namespace) -> Outcome:
    run, console = of_args(args), Console(stderr=True)
    extractor = _features(args)
    layer = usual_layer(extractor.widths)
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
            "captions": described(listed or held_out),
            "count": len(captions),
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
        conditions={
            "run": {"images": args.images, "detections": args.detections},
            "samples": details["images"],
            "classes": details["classes"],
            "threshold": THRESHOLD,
        },
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
    step = runs.best_step(args.workdir) or runs.latest_step(args.workdir)
    with Waiting("comparing styles"):
        details, values, text = style_verification.evaluate(
            args.workdir, run.held_out(), args.num, args.seed, args.groups, args.encoder
        )
    record = Record(
        protocol="style_verification",
        step=step,
        values=values,
        conditions={
            "run": {"workdir": args.workdir, "weights": details["weights"]},
            **{k: details[k] for k in ("data", "images", "seed", "groups")},
        },
    )
    return Outcome(details=details, text=text, record=record)


KINDS = {
    "tsne": Kind(_tsne),
    "text_probe": Kind(_text_probe),
    "retrieval": Kind(_retrieval),
    "toy_attributes": Kind(_toy_attributes),
    "rating": Kind(looking.rated),
    "nearest": Kind(looking.nearest_images),
    "failures": Kind(looking.worst),
    "grid": Kind(looking.grid),
    "diversity": Kind(_diversity),
    "soa": Kind(_soa, _soa_samples),
    "style_verification": Kind(_style_verification),
}
