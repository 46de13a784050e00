"""The run under evaluation: its generator, the captions that it draws from, its real images."""

import functools
import hashlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from t2i_jax import paths
from t2i_jax.data.catalog import NotPrepared
from t2i_jax.data.options import DataOptions
from t2i_jax.data.text_files import caption_lines
from t2i_jax.evaluation.feature_store import digest
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.evaluation.image_sets import Drawn
from t2i_jax.evaluation.subject import Subject
from t2i_jax.sampler import CaptionWarning, Sampler
from t2i_jax.training import build, networks, runs


class TrainedRun:
    """A run at one of its checkpoints. Nothing is read before it is asked for.

    step: of the checkpoint; None: the latest.
    seed: of captions and noise.
    data_dir, split: where its data set is now and what to evaluate on, "" for the usual.
    captions_file: captions instead of the data set's, gone through again and again.
    batch_size: images at a time; all devices of this process share them.

    Raises FileNotFoundError where `workdir` is no run.
    """

    def __init__(
        self,
        workdir: str | os.PathLike,
        step: int | None = None,
        seed: int = 0,
        data_dir: str = "",
        split: str = "",
        captions_file: str = "",
        batch_size: int = 16,
    ):
        self.workdir, self.seed, self.split = os.fspath(workdir), seed, split
        self.config = placed(runs.read_config(workdir), data_dir)
        self.step = runs.latest_step(workdir) if step is None else step
        self._captions_file, self._batch_size = captions_file, batch_size
        self._asked_for_data, self._told = bool(data_dir), False

    @functools.cached_property
    def sampler(self) -> Sampler:
        """What draws from it. Raises as `Sampler.from_workdir`."""
        return Sampler.from_workdir(self.workdir, self.step, self._batch_size, jax.local_devices())

    @property
    def options(self) -> DataOptions:
        """Of its data."""
        return build.data_options(self.config)

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """What tells its networks from others, JSON types."""
        return {
            "workdir": self.workdir,
            "system": self.config.system,
            "step": self.step,
            "averaged": True,
            "weights": digest(runs.ema_records(self.workdir, self.step)),
            "kept": digest(self._kept()),
        }

    def _kept(self) -> dict[str, str]:
        """Digests of what beside the checkpoint decides what is drawn."""
        tokenizer = paths.path(self.workdir) / "tokenizer.json"
        words = paths.read_bytes(tokenizer) if paths.exists(tokenizer) else b""
        return {
            **networks.kept_digests(self.workdir),
            "tokenizer": hashlib.sha256(words).hexdigest(),
        }

    def held_out(self, rule: str = "random") -> HeldOut:
        """Its held-out data; raises as `HeldOut`."""
        return HeldOut(self.options, self.split, self.seed, rule)

    def captions_of_file(self) -> list[str] | None:
        """The captions that the user gave; ValueError for a file without any."""
        return _captions(self._captions_file) if self._captions_file else None

    def samples(self, count: int, rule: str, truncation: float | None) -> Drawn:
        """Its samples as a list that is streamed; ValueError for a run that reads nothing and is
        given captions.
        """
        texts: HeldOut | list[str] | None = self.captions_of_file()
        if texts is None and (self.config.encoder.name or self._embedded):
            texts = self.held_out(rule)
        return self._drawn(texts, count, truncation)

    def samples_of(self, captions: Sequence[str]) -> Drawn:
        """One sample of each caption."""
        return self._drawn(captions, len(captions), None)

    def _drawn(
        self, texts: HeldOut | Sequence[str] | None, count: int, truncation: float | None
    ) -> Drawn:
        def images(texts, first: int, num: int) -> np.ndarray:
            return self.draw(texts, self.seed, num if texts is None else 1, first, truncation)

        # Not where it lies: a run that is moved keeps its features.
        own = {k: v for k, v in self.identity.items() if k != "workdir"}
        identity = {**own, "seed": self.seed, "truncation": truncation}
        return Drawn(images, count, texts, identity, self._embedded and texts is not None)

    def draw(
        self,
        texts: Sequence[str] | np.ndarray | None,
        seed: int,
        num: int,
        first: int = 0,
        truncation: float | None = None,
    ) -> np.ndarray:
        """`num` images of each text, with one line for what is said of captions."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", CaptionWarning)
            images = self.sampler.sample(texts, seed, num, truncation=truncation, first=first)
        self._report(caught)
        return images

    def subject(self, num: int) -> Subject:
        """What the protocols of pictures are given. Raises NotPrepared where captions, or data
        that were asked for, are not there.
        """
        lines = self.captions_of_file()
        conditional = bool(self.config.encoder.name) or self._embedded
        try:
            held_out = self.held_out()
        except NotPrepared as error:
            if self._asked_for_data or (conditional and not lines):
                raise
            say(f"warning: no comparison with real images: {error}")
            held_out = None
        if lines:
            texts, origin = [lines[i % len(lines)] for i in range(num)], self._captions_file
        elif not conditional:
            texts, origin = None, ""
        else:
            texts = held_out.embeddings(num) if self._embedded else held_out.captions(num)
            origin = held_out.title

        def draw() -> np.ndarray:
            say(f"drawing {num:,} images")
            return self.draw(texts, self.seed, num if texts is None else 1)

        return Subject(
            workdir=self.workdir,
            system=self.config.system,
            step=self.step,
            num=num,
            seed=self.seed,
            captions=origin,
            draw=draw,
            real=None if held_out is None else lambda: held_out.images(num),
        )

    @property
    def _embedded(self) -> bool:
        return not self.config.encoder.name and self.config.data.get("text") == "embeddings"

    def _report(self, caught: Sequence[warnings.WarningMessage]) -> None:
        """One line for all captions that are read in part only; they may be hundreds."""
        partly = [str(w.message) for w in caught if issubclass(w.category, CaptionWarning)]
        if partly and not self._told:
            say(f"warning: captions read in part only: {len(partly):,}, such as {partly[0]}")
            self._told = True
        for other in caught:
            if not issubclass(other.category, CaptionWarning):
                say(f"warning: {other.message}")


def placed(config: ConfigDict, data_dir: str) -> ConfigDict:
    """The config of a run whose data lie in `data_dir`, where that is given."""
    place = data_dir or config.data.data_dir
    return ConfigDict({**config, "data": {**config.data, "data_dir": place}})


def say(text: str) -> None:
    """A line for the user that is no result."""
    print(text, file=sys.stderr)


def _captions(path: str) -> list[str]:
    lines = caption_lines(path)
    if not lines:
        raise ValueError(f"{path}: it has no captions; one a line is needed")
    return lines
