"""A protocol of numbers on the command line: of a run's samples, or of given images."""

import argparse
import dataclasses
import os
import pathlib

from rich.console import Console

from t2i_jax import paths
from t2i_jax.data.report import DataError
from t2i_jax.evaluation import exchange, measuring, networks
from t2i_jax.evaluation.extractors import dual
from t2i_jax.evaluation.extractors.base import DualEncoder, Extractor
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.evaluation.image_sets import Files, ImageSet
from t2i_jax.evaluation.measuring import Places, RealImages
from t2i_jax.evaluation.outcome import Outcome
from t2i_jax.evaluation.protocols import families
from t2i_jax.evaluation.protocols.base import Needs, NumberProtocol
from t2i_jax.evaluation.real_images import real_images
from t2i_jax.evaluation.results import FOLDER
from t2i_jax.evaluation.trained_run import TrainedRun, say
from t2i_jax.waiting import Waiting


def evaluate(args: argparse.Namespace) -> Outcome:
    """The numbers of ``--protocol``; raises ValueError and OSError for what does not fit."""
    protocol, console = families.load(args.protocol), Console(stderr=True)
    with Waiting("reading the network that sees the images"):
        network = networks.load(
            protocol.needs(), args.features, args.encoder, args.extractor_batch_size, args.weights
        )
    if args.images:
        return _of_files(args, protocol, network, console)
    run = of_args(args)
    needs = protocol.needs()
    samples = run.samples(needs.samples, needs.rule, needs.truncation)
    real = _real(args, run, needs, run.options.size)
    conditions = {"run": run.identity, "truncation": needs.truncation, "split": args.split}
    conditions |= _encoders(network, run.workdir)
    root = features_folder(run.workdir, args.out)
    return _measured(args, protocol, network, samples, real, root, run.step, conditions, console)


def save_samples(args: argparse.Namespace) -> None:
    """Writes the samples of ``--protocol`` to ``--save_samples`` for other programs."""
    run, needs = of_args(args), families.load(args.protocol).needs()
    samples = run.samples(needs.samples, needs.rule, needs.truncation)
    exchange.save(samples, args.save_samples, args.batch_size, Console(stderr=True))


def features_folder(workdir: str, out: str) -> pathlib.Path:
    """Where the features of a run's samples are kept: with the run, or in `out` where the run
    cannot be written to. ValueError for a run on a store.
    """
    run = paths.local(workdir, "features of samples")
    place = run if os.access(run, os.W_OK) else paths.local(out, "features of samples")
    return (place / FOLDER if place == run else place) / "features"


def _encoders(network: Extractor | DualEncoder, workdir: str) -> dict:
    """What a result says of encoders that compare images with captions."""
    if not isinstance(network, DualEncoder):
        return {}
    trained = list(dual.trained_with(workdir, network)) if workdir else []
    return {"encoder_parts": dict(network.parts), "trained_with": trained}


def of_args(args: argparse.Namespace, workdir: str = "") -> TrainedRun:
    """The run that the options name, or another one under the same options."""
    return TrainedRun(
        workdir or args.workdir,
        args.step,
        args.seed,
        args.data_dir,
        args.split,
        args.captions_file or "",
        args.batch_size,
    )


def _of_files(args, protocol: NumberProtocol, network, console: Console) -> Outcome:
    samples = Files(args.images, protocol.needs().samples)
    real = RealImages(reference=None, yardstick=None)
    if args.workdir:
        real = _real(args, of_args(args), protocol.needs(), samples.images(0, 1).shape[2])
    root = paths.local(args.out, "features") / "features"
    conditions = {"run": dict(samples.identity), "split": args.split}
    conditions |= _encoders(network, args.workdir)
    return _measured(args, protocol, network, samples, real, root, None, conditions, console)


def _measured(
    args,
    protocol: NumberProtocol,
    network,
    samples: ImageSet,
    real: RealImages,
    root: pathlib.Path,
    step: int | None,
    conditions: dict,
    console: Console,
) -> Outcome:
    found = measuring.measure(
        protocol,
        network,
        samples,
        real,
        Places(samples=root, real=networks.cache()),
        batch_size=args.extractor_batch_size,
        seed=args.seed,
        step=step,
        conditions=conditions,
        console=console,
    )
    details = {
        "values": found.record.values,
        "spreads": found.record.spreads,
        **found.details,
        "conditions": found.record.conditions,
    }
    return Outcome(
        details=details, pictures=found.pictures, text=measuring.table(found), record=found.record
    )


def _real(args, run: TrainedRun, needs: Needs, size: int) -> RealImages:
    """Of the samples' size. Images of others have captions that are not known to be held-out."""
    options = dataclasses.replace(run.options, size=size)
    held_out: HeldOut | None = None
    try:
        if not args.captions_file and not needs.reference:
            held_out = HeldOut(options, args.split, args.seed, needs.rule)
        return real_images(options, needs, held_out, args.split)
    except DataError as error:
        if needs.reference:
            raise
        say(f"warning: no comparison with real images: {error}")
        return RealImages(reference=None, yardstick=None)
