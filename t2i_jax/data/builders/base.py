"""What every builder shares: the record schema, and writing checked records in the given order.

tfds' own writer sorts records by a hash, and beyond 1 GB it needs TensorFlow for that. Here records
go straight to array_record shards in the order of the lists (which the papers' index-aligned files
such as ``captions.pickle`` rely on); the pipeline shuffles.
"""

import collections
import contextlib
import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from rich.console import Console

from t2i_jax.data import records
from t2i_jax.data.prepare_progress import track
from t2i_jax.data.report import DataError, Problem, Report, printable
from t2i_jax.data.source_files import file_text
from t2i_jax.waiting import Waiting

RECORDS_PER_SHARD = 2048  # about 200 MB of photos
_RECORDS_PER_WRITE = 64


def labels_filename(split: str) -> str:
    """The file of a prepared set with the label of every record of a split, in order."""
    return f"labels-{split}.npy"


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(tfds.core.BuilderConfig):
    """One way to prepare a set. Made by `make`, which derives the name: that of the folder.

    kind: which split or edition: "disjoint", "official", "2014", ...
    max_side: see `t2i_jax.data.stored_image.shrunk_size`.
    """

    kind: str = ""
    max_side: int | None = None

    @classmethod
    def make(cls, **fields: Any) -> "Config":
        """A config with the name that its fields give it."""
        config = cls(name="unnamed", **fields)
        name = "_".join(part for part in config.name_parts() if part)
        return dataclasses.replace(config, name=name or "default")

    @classmethod
    def options(cls) -> list[str]:
        """The fields that `t2i_jax.data.catalog.prepare` takes beyond the common ones."""
        common = {field.name for field in dataclasses.fields(Config)}
        return [f.name for f in dataclasses.fields(cls) if f.name not in common]

    def name_parts(self) -> list[str]:
        """The parts of the name: what tells this config's data from another's. Empty ones are
        left out.
        """
        return [self.kind, "" if self.max_side is None else f"side{self.max_side}"]


@dataclasses.dataclass(eq=False, kw_only=True)
class CaptionedConfig(Config):
    """embeddings: store the published char-CNN-RNN sentence vectors too."""

    embeddings: bool = False

    def name_parts(self) -> list[str]:
        """See `Config`."""
        return [*super().name_parts(), "embeddings" if self.embeddings else ""]


@dataclasses.dataclass
class Job:
    """What a preparation needs and the prepared data doesn't depend on.

    source: the user's folder; None for generated sets.
    images: where the pictures are, if not in the source.
    """

    source: pathlib.Path | None
    report: Report
    images: pathlib.Path | None = None
    strict: bool = False
    console: Console | None = None


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of the builders. A subclass implements `layout`; all else may be left as it is.

    MANUAL_DOWNLOAD_INSTRUCTIONS says what the source folder must hold; a set without it is
    generated, and has no source. BUILDER_CONFIGS lists the ways to prepare the set, one for each
    kind. `job` is set by `catalog.prepare`; without it the source is tfds' manual folder.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[Config]] = [Config.make()]
    DESCRIPTION: ClassVar[str] = ""
    HOMEPAGE: ClassVar[str] = ""
    CITATION: ClassVar[str] = ""
    # {kind: {split: records of the complete set}}
    EXPECTED: ClassVar[Mapping[str, Mapping[str, int]]] = {}
    # Whether images are turned as their orientation tags say; the papers' loaders ignore these.
    TURNED: ClassVar[bool] = False
    # Whether pictures may lie in another folder than the source.
    TAKES_IMAGES: ClassVar[bool] = False

    job: Job | None = None

    def layout(self, job: Job) -> records.Layout:
        """Reads the lists of the source. Subclasses implement it."""
        raise NotImplementedError

    def _log_download_bytes(self) -> None:
        """Nothing: tfds would print, also into a notebook's cell, what our messages say."""

    def _log_download_done(self) -> None:
        """Nothing, likewise."""

    def extra_features(self) -> dict[str, Any]:
        """Features beyond the common schema, by name."""
        return {}

    @property
    def embeddings(self) -> bool:
        """Whether the records hold sentence vectors."""
        return getattr(self.builder_config, "embeddings", False)

    @property
    def need_captions(self) -> bool:
        """Whether an image without a caption is skipped."""
        return True

    def check(self, item: Any) -> tuple[dict | None, list[Problem]]:
        """The record that an item of the layout's splits becomes, or None, and the problems.

        Called from threads.
        """
        if isinstance(item, Problem):
            return None, [item]
        return records.check(
            item,
            max_side=self.builder_config.max_side,
            need_captions=self.need_captions,
            embeddings=self.embeddings,
            turn=self.TURNED,
        )

    def _fenced(self, item: Any) -> tuple[str, dict | None, list[Problem]]:
        """`check`, and where the item stands. A record that cannot be made or stored is a problem,
        whatever happens.
        """
        place = item.place if isinstance(item, records.Raw) else file_text(str(item))
        try:
            record, problems = self.check(item)
            if record is not None:
                self.info.features.encode_example(record)
            return place, record, problems
        except Exception as error:
            reason = f"cannot be stored ({type(error).__name__})"
            where = f"{place}: {file_text(str(error))[:200]}"
            return place, None, [Problem("skipped", "record", reason, where)]

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(),
            "image/id": tfds.features.Text(),
            "image/filename": tfds.features.Text(),
            "captions": tfds.features.Sequence(tfds.features.Text()),
            "label": np.int64,
            "bbox": tfds.features.Tensor(shape=(4,), dtype=np.float32),
            **self.extra_features(),
        }
        if self.embeddings:
            # [captions, E]; more than one unknown size asks for an encoding.
            features["embeddings"] = tfds.features.Tensor(
                shape=(None, None), dtype=np.float32, encoding="bytes"
            )
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        job = self._job(dl_manager)
        with contextlib.nullcontext() if job.console is None else Waiting("reading lists"):
            layout = self.layout(job)
        job.report.layout, job.report.told = layout.name, list(map(printable, layout.told))
        for problem in layout.problems:
            job.report.add("", problem)
        listed = {name: split for name, split in layout.splits.items() if split.total != 0}
        if not listed:
            raise DataError(_nothing_left(job.report, "", f"no record found in {job.source}"))
        for name in layout.splits.keys() - listed.keys():
            job.report.add("", Problem("skipped", "split", "it lists no image", name))
        job.report.notes.extend(layout.notes)
        usual = self.EXPECTED.get(self.builder_config.kind, {})
        job.report.expected = dict(usual if layout.expected is None else layout.expected)
        self.info.metadata["label_names"] = [file_text(str(n)) for n in layout.label_names]
        return {name: self._generate_examples(name, split) for name, split in listed.items()}

    def _generate_examples(self, split_name: str, split: records.Split) -> Iterator[tuple]:
        """Yields (position, record); counts in the report what doesn't become one."""
        report = self.job.report
        report.records[split_name] = report.captions[split_name] = 0
        title = f"{report.dataset} {split_name}"
        items = track(split.items, title, split.total, self.job.console)
        seen: dict[str, list[str]] = {}
        for place, record, problems in _in_order(self._fenced, items):
            for problem in problems:
                report.add(split_name, problem)
            if record is None:
                continue
            name, texts = record["image/id"], record["captions"]
            if name in seen:
                same = seen[name] == texts
                reason = "duplicate id" if same else "duplicate id with other captions"
                report.add(split_name, Problem("skipped", "record", reason, place))
                continue
            if self.embeddings and not self._same_width(record):
                reason = "sentence vectors of another width"
                report.add(split_name, Problem("skipped", "record", reason, place))
                continue
            seen[name] = texts
            yield report.records[split_name], record
            report.records[split_name] += 1
            report.captions[split_name] += len(record["captions"])

    def _same_width(self, record: dict) -> bool:
        """Whether the sentence vectors are as wide as the first record's."""
        width = record["embeddings"].shape[1]
        return self.info.metadata.setdefault("embedding_size", width) == width

    def _job(self, dl_manager) -> Job:
        if self.job is None:
            source = pathlib.Path(dl_manager.manual_dir)
            self.job = Job(source, Report(self.name, self.builder_config.name, str(source)))
        return self.job

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        """Writes all splits into ``self.data_dir``, which tfds renames when all went well."""
        # A second info, made while data_dir is tfds' temporary folder: it is where its writer
        # writes.
        info = self._info()
        writer = tfds.core.SequentialWriter(
            info, max_examples_per_shard=RECORDS_PER_SHARD, file_format="array_record"
        )
        folder, report = epath.Path(self.data_dir), self._job(dl_manager).report
        for split, examples in self._split_generators(dl_manager).items():
            writer.initialize_splits([split])
            labels: list[int] = []
            while chunk := [e for _, e in itertools.islice(examples, _RECORDS_PER_WRITE)]:
                writer.add_examples({split: chunk})
                labels.extend(int(example["label"]) for example in chunk)
            writer.close_splits([split])
            if not labels:
                what = f"no record of split {split!r} is usable"
                raise DataError(_nothing_left(report, split, what))
            with (folder / labels_filename(split)).open("wb") as file:
                np.save(file, np.asarray(labels, np.int32))
        if self.job.strict and report.faults:
            raise DataError(
                f"{report.dataset}: {report.faults:,} things would have to be repaired or skipped, "
                "and a strict preparation refuses that. Nothing was kept."
            )
        report.save(folder)
        self.info.set_splits(info.splits)


def _in_order(function: Callable, items: Iterable) -> Iterator:
    """`function` of each item, in threads (decoding releases Python's lock), order kept."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        pending: collections.deque = collections.deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= 8 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _nothing_left(report: Report, split: str, what: str) -> str:
    rows = [
        f"  {count:,} x {item} {action}: {reason}"
        for (where, action, item, reason), count in sorted(report.counts.items())
        if where in ("", split)
    ]
    return "\n".join([f"{report.dataset}: {what}{':' * bool(rows)}", *rows])
