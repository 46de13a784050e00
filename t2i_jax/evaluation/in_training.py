"""Evaluations that a training runs at its checkpoints, as ``config.evals`` names them.

The training loop imports no evaluation: the command line hands it `evaluators`.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from t2i_jax import paths
from t2i_jax.config import suggest
from t2i_jax.data.options import DataOptions
from t2i_jax.evaluation import attribute_reader, measuring, networks, toy_attributes
from t2i_jax.evaluation.extractors import registry
from t2i_jax.evaluation.extractors.pixels import NAME as PIXELS
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.evaluation.image_sets import Drawn
from t2i_jax.evaluation.measuring import Places
from t2i_jax.evaluation.protocols import families
from t2i_jax.evaluation.real_images import real_images
from t2i_jax.evaluation.retrieval import Retrieval
from t2i_jax.sampler import Sampler
from t2i_jax.training.build import System

Evaluator = Callable[[Mapping[str, Any]], dict[str, float]]  # of averaged networks

_BATCH = 64


def evaluators(system: System, options: DataOptions) -> dict[str, Evaluator]:
    """The evaluations of a training by name; ValueError for an unknown name."""
    section, draw = system.config.evals, _Generator(system)
    kinds = {
        "retrieval": lambda: Retrieval(system, options, section.records),
        "toy_attributes": lambda: ToyAttributes(draw, section),
    }
    found = {}
    for name in section.names:
        if name in kinds:
            found[name] = kinds[name]()
        elif families.is_name(name):
            found[name] = Numbers(name, draw, options, section)
        else:
            raise ValueError(
                f"evals.names: no {name!r}{suggest(name, [*kinds, *families.FAMILIES])}"
            )
    return found


class _Generator:
    """Draws with the networks of the moment; compiled once."""

    def __init__(self, system: System):
        self.system = system
        self._sampler: Sampler | None = None

    def load(self, averaged: Mapping[str, Any]) -> None:
        """Takes these networks for what is drawn next."""
        averaged = {"stats": {}, **averaged}
        if self._sampler is None:
            self._sampler = Sampler(self.system, averaged, _BATCH, jax.local_devices())
        else:
            self._sampler = self._sampler.with_networks(averaged)

    def __call__(
        self,
        texts: Sequence[str] | np.ndarray | None,
        seed: int,
        num: int,
        first: int = 0,
        truncation: float | None = None,
    ) -> np.ndarray:
        return self._sampler.sample(texts, seed, num, truncation=truncation, first=first)


class Numbers:
    """A protocol of numbers. Features of real images are kept from one time to the next."""

    def __init__(self, name: str, draw: _Generator, options: DataOptions, section: ConfigDict):
        self._protocol, self._draw, self._options = families.load(name), draw, options
        self.lower_is_better = self._protocol.lower_is_better
        needs = self._protocol.needs()
        self._network = networks.load(needs, section.features, section.encoder, _BATCH)
        config = draw.system.config
        self._embedded = not config.encoder.name and options.text == "embeddings"
        self._texts = None
        if config.encoder.name or self._embedded:
            self._texts = HeldOut(options, rule=needs.rule)
        # Real images in the samples' place would have the same numbers at every checkpoint.
        reference = real_images(options, needs, None).reference if needs.reference else None
        self._real = measuring.RealImages(reference=reference, yardstick=None)

    def __call__(self, averaged: Mapping[str, Any]) -> dict[str, float]:
        """Its values."""
        self._draw.load(averaged)
        needs = self._protocol.needs()

        def draw(texts, first: int, num: int) -> np.ndarray:
            count = num if texts is None else 1
            return self._draw(texts, 0, count, first, needs.truncation)

        samples = Drawn(draw, needs.samples, self._texts, {"in": "training"}, self._embedded)
        with tempfile.TemporaryDirectory(prefix="t2i_jax") as folder:
            found = measuring.measure(
                self._protocol,
                self._network,
                samples,
                self._real,
                Places(samples=paths.path(folder), real=networks.cache()),
                batch_size=_BATCH,
                seed=0,
                step=None,
                conditions={},
                processes=1,  # each draws all: nothing says that they share a disk
            )
        values = found.record.values
        return {name: value for name, value in values.items() if value is not None}


class ToyAttributes:
    """How often samples show what captions of toy birds state."""

    lower_is_better = ()

    def __init__(self, draw: _Generator, section: ConfigDict):
        if not section.classifier:
            raise ValueError(
                "evals.names: 'toy_attributes' needs evals.classifier, a run of "
                "the config toy_attributes"
            )
        self._draw, self._num = draw, section.records
        self._reader = attribute_reader.load(section.classifier)
        self._features = registry.load(section.features or PIXELS)

    def __call__(self, averaged: Mapping[str, Any]) -> dict[str, float]:
        """See `toy_attributes.values`."""
        self._draw.load(averaged)
        setup = toy_attributes.Setup(
            draw=self._draw, num=self._num, seed=0, describe={"workdir": "this training"}
        )
        result, _, _ = toy_attributes.evaluate(setup, self._reader, self._features)
        return {k: v for k, v in toy_attributes.values(result).items() if v is not None}
