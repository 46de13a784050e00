"""Protocols that are looked at, as the command line calls them: blind ratings by people, nearest
training images, failures, captions against noise.
"""

import argparse
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console

from t2i_jax import paths
from t2i_jax.data import catalog
from t2i_jax.data.report import DataError
from t2i_jax.evaluation import failures, nearest, networks, noise_grid, streaming
from t2i_jax.evaluation.extractors import registry
from t2i_jax.evaluation.extractors.base import EMBEDDING, TEXT, usual_layer
from t2i_jax.evaluation.extractors.pixels import NAME as PIXELS
from t2i_jax.evaluation.image_sets import HeldOutPhotos, ImageSet, Photos
from t2i_jax.evaluation.metrics.clip_score import clip_similarities
from t2i_jax.evaluation.numbers import features_folder, of_args
from t2i_jax.evaluation.outcome import Outcome
from t2i_jax.evaluation.protocols.base import Needs
from t2i_jax.evaluation.rating import protocol as rating
from t2i_jax.evaluation.trained_run import TrainedRun, say

_COLUMNS = 8  # noises of a grid


def rated(args: argparse.Namespace) -> Outcome:
    """The page for raters, or what their files say."""
    if args.ratings:
        key = paths.path(args.out) / rating.KEY
        return _outcome(rating.report(key, args.ratings.split(",")))
    if not args.against:
        raise ValueError(
            "--protocol=rating compares runs: name another with --against=RUN, or give what raters "
            "sent with --ratings=A.csv,B.csv"
        )
    every = [of_args(args, workdir) for workdir in (args.workdir, *args.against)]
    first = every[0].samples(args.num, "random", None)
    captions = first.captions(0, args.num) if first.captioned else None
    draws = {}
    for name, run in zip(_names(every), every, strict=True):
        say(f"drawing {args.num:,} images of {run.workdir}")
        draws[name] = run.draw(captions, args.seed, 1 if first.captioned else args.num)
    describe = {"runs": [run.identity for run in every], "captions": first.identity["captions"]}
    folder = paths.folder(args.out)
    for name, data in rating.make(draws, captions, args.seed, describe).items():
        paths.write_bytes(folder / name, data)
        print(f"wrote {folder / name}")
    return Outcome(details={"num": args.num, "seed": args.seed, **describe})


def _names(every: Sequence[TrainedRun]) -> list[str]:
    """Short names of run directories, all different: as much of their ends as that takes."""
    parts = [pathlib.PurePath(run.workdir).parts for run in every]
    if len(set(parts)) < len(parts):
        raise ValueError("--against: a run is compared with itself; name other runs")
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(p[-count:]) for p in parts]
        if len(set(names)) == len(names):
            break
    return names


def nearest_images(args: argparse.Namespace) -> Outcome:
    """Samples beside the training images nearest to them."""
    run, console = of_args(args), Console(stderr=True)
    extractor = registry.load(args.features or PIXELS, args.weights, args.extractor_batch_size)
    layer = usual_layer(extractor.widths)
    training = Photos(
        run.options, catalog.open_split(run.options.name, run.options.data_dir, run.options.split)
    )

    def seen(images: ImageSet, root: pathlib.Path) -> streaming.FeatureStore:
        return streaming.extracted(images, extractor, root, args.extractor_batch_size, console)

    def looking(images: ImageSet, root: pathlib.Path) -> nearest.Looking:
        captions = images.captions(0, len(images)) if images.captioned else ()
        rows = seen(images, root).layer(layer)[:]
        return nearest.Looking(features=rows, images=_at(images), captions=captions)

    try:
        real = looking(HeldOutPhotos(run.held_out(), args.num), networks.cache())
    except DataError as error:
        say(f"warning: no comparison with real images: {error}")
        real = None
    blocks = seen(training, networks.cache()).layer(layer).blocks()
    samples = run.samples(args.num, "random", None)
    describe = {
        **run.identity,
        "seed": args.seed,
        "captions": samples.identity["captions"],
        "training": dict(training.identity),
        "extractor": extractor.name,
        "extractor_digest": extractor.digest,
        "layer": layer,
    }
    return _outcome(
        nearest.evaluate(
            looking(samples, features_folder(run.workdir, args.out)),
            real,
            nearest.Training(blocks=blocks, images=_at(training)),
            describe,
        )
    )


def worst(args: argparse.Namespace) -> Outcome:
    """The samples that fit their captions worst, and those that fit best, by --encoder."""
    run, console = of_args(args), Console(stderr=True)
    dual = networks.load(
        Needs(samples=args.num, dual=True), "", args.encoder, args.extractor_batch_size
    )
    samples = run.samples(args.num, "random", None)
    if not samples.captioned:
        raise ValueError(f"{args.workdir}: this run reads no captions that samples could miss")
    store = streaming.extracted(
        samples, dual, features_folder(run.workdir, args.out), args.extractor_batch_size, console
    )
    scores = clip_similarities(*(store.layer(name)[:] for name in (EMBEDDING, TEXT)))
    describe = {**run.identity, "seed": args.seed, "encoder": dual.images.name}
    metric = f"cosine of image and caption by {dual.images.name}"
    captions = samples.captions(0, len(samples))
    return _outcome(failures.evaluate(scores, captions, _at(samples), metric, describe))


def grid(args: argparse.Namespace) -> Outcome:
    """Captions against the same noises."""
    run = of_args(args)
    captions = run.captions_of_file() or run.held_out().captions(args.num)
    describe = {**run.identity}
    return _outcome(
        noise_grid.evaluate(run.draw, captions[: args.num], _COLUMNS, args.seed, describe)
    )


def _at(images: ImageSet) -> Callable[[Sequence[int]], np.ndarray]:
    """The images of given numbers."""
    return lambda indices: np.concatenate([images.images(int(i), int(i) + 1) for i in indices])


def _outcome(found: tuple) -> Outcome:
    details, pictures, text = found
    return Outcome(details=details, pictures=pictures, text=text)
