"""The data sets by name: preparing them, and opening what has been prepared.

A prepared set lies in ``<data_dir>/<builder>/<config>/<version>`` as array_record shards with tfds'
metadata. Opening needs neither the source nor TensorFlow, and `data_dir` may be on a store
(`t2i_jax.data.on_stores`).
"""

import contextlib
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds
from absl import logging
from etils import epath
from rich.console import Console

from t2i_jax import paths
from t2i_jax.arguments import program
from t2i_jax.data import checksums, content, on_stores, origin
from t2i_jax.data.builders.base import Builder, Config, Job
from t2i_jax.data.layouts.files import MissingSource
from t2i_jax.data.names import DATASETS, DataSet, find_data_set
from t2i_jax.data.prepared import PreparedSplit
from t2i_jax.data.report import FILENAME, DataError, Report
from t2i_jax.owner import OwnedError, Owner

__all__ = ["DATASETS", "NotPrepared", "full_name", "open_split", "prepare", "prepared_configs"]


class NotPrepared(DataError, FileNotFoundError):
    """The set is not in `data_dir`; the message has the command that prepares it."""


def prepared_configs(name: str, data_dir: str) -> dict[str, epath.Path]:
    """The configs of a data set that are prepared in `data_dir`: {config: folder}."""
    data_set = find_data_set(name)
    builder = data_set.load()
    root = epath.Path(paths.path(data_dir)).expanduser() / builder.name
    if not paths.exists(root):
        return {}
    folders = {p.name: p / str(builder.VERSION) for p in sorted(root.iterdir())}
    return {
        config: path
        for config, path in folders.items()
        # Two names may share a builder: coco and coco2017.
        if (not data_set.kinds or config.startswith(data_set.kinds)) and _is_prepared(path)
    }


def full_name(name: str, data_dir: str) -> str:
    """The name with the config, such as "cub/disjoint_side304", which goes on meaning the same set
    when others are prepared beside it. Raises as `open_split`.
    """
    name, _, config = name.partition("/")
    configs = prepared_configs(name, data_dir)
    if not configs or (config and config not in configs):
        builder = find_data_set(name).load()
        raise NotPrepared(_not_prepared(name, config, builder, data_dir, configs))
    if len(configs) > 1 and not config:
        choice = ", ".join(f"{name}/{c}" for c in configs)
        raise DataError(
            f"{data_dir} holds several sets of {name}; choose one (in training with --data.name): "
            f"{choice}"
        )
    return f"{name}/{config or next(iter(configs))}"


def open_split(name: str, data_dir: str, split: str) -> PreparedSplit:
    """Opens one split of a prepared set.

    name: see `find_data_set`; such as "cub", or "cub/disjoint_side304" where `data_dir` holds
      several configs of it.

    Raises:
      NotPrepared: it isn't there.
      DataError: unknown name or split, or several configs to choose from.
    """
    name, _, config = full_name(name, data_dir).partition("/")
    folder = on_stores.fetched(prepared_configs(name, data_dir)[config])
    return PreparedSplit(folder, split, name)


def split_names(name: str, data_dir: str) -> list[str]:
    """The splits of a prepared set. Raises as `open_split`."""
    name, _, config = full_name(name, data_dir).partition("/")
    return list(_earlier(prepared_configs(name, data_dir)[config], strict=False).records)


def _not_prepared(
    name: str, config: str, builder: type[Builder], data_dir: str, configs: Mapping
) -> str:
    source = " --source=DIR" if builder.MANUAL_DOWNLOAD_INSTRUCTIONS else ""
    there = f" (prepared are: {', '.join(configs)})" if configs else ""
    wanted = f"{name}/{config}" if config else name
    options = ", with the options that this name comes from" if config else ""
    return (
        f"the data set {wanted} is not prepared in {data_dir}{there}. To prepare it{options}:\n"
        f"  {program('prepare')} --dataset={name}{source} --data_dir={data_dir}"
    )


@on_stores.staged
def prepare(
    name: str,
    source: str | None,
    data_dir: str,
    *,
    max_side: int | None = None,
    strict: bool = False,
    split_kind: str = "",
    images: str | None = None,
    called: str = "",
    overwrite: bool = False,
    console: Console | None = None,
    **options: Any,
) -> Report:
    """Builds a data set from the user's files, unless it is there already.

    name: see `find_data_set`.
    source: the user's folder; None for generated sets.
    max_side: store images resized; see `t2i_jax.data.stored_image.shrunk_size`.
    strict: fail where anything would have to be repaired or skipped.
    split_kind: one of the set's kinds; the first by default.
    images: where the pictures are, if not in the source.
    called: what the set of a folder is called, if not as the folder; for `folder` alone.
    console: where progress is shown; None shows none.
    options: the fields of the set's config, such as ``num_images`` (toy_birds) or ``embeddings``.

    Raises:
      DataError: nothing usable, bad options, problems in a strict preparation, another process
        that is preparing the same, or a set of that name that was made from other files or with
        other options. Its ``report`` says what had been found by then.
    """
    data_set = find_data_set(name)
    if name == "folder" and (called or source):  # whose sets are told apart by their folders
        split_kind = word(called or source)
    elif called:
        raise DataError(f"{name} has a name of its own; only a `folder` is given another")
    config = config_for(name, data_set, split_kind, max_side, options)
    builder_class = data_set.load()
    if images is not None and not builder_class.TAKES_IMAGES:
        raise DataError(
            f"{name} has its pictures in the source: leave --images out; it is for coco, coco2017, "
            "ln_coco and ln_openimages"
        )
    path = epath.Path(paths.path(data_dir)).expanduser() / builder_class.name / config.name
    path = path / str(builder_class.VERSION)
    roots = {"source": source, "images": images}
    made_of = origin.take(
        {option: getattr(config, option) for option in ("max_side", *config.options())},
        {option: pathlib.Path(root).expanduser() for option, root in roots.items() if root},
        skip=(data_dir, path.parent.parent),
    )
    if _is_prepared(path) and not overwrite:
        report = _earlier(path, strict)
        origin.check(report, made_of)
        return report
    folder = _source_folder(name, builder_class, source)
    pictures = None if images is None else pathlib.Path(images).expanduser()
    report = Report(name, config.name, str(source or "generated"), str(path))
    try:
        with _owned(path.parent, report), _quiet():
            with _beside(path) as (root, made), tempfile.TemporaryDirectory() as unused:
                builder = builder_class(config=config, data_dir=root, file_format="array_record")
                builder.job = Job(folder, report, pictures, strict, console)
                builder.download_and_prepare(
                    download_dir=unused,
                    download_config=tfds.download.DownloadConfig(manual_dir=folder or unused),
                )
                origin.save(made, made_of)
                checksums.write(made)
                for split in report.records:  # which also tries that all can be read
                    content.table(PreparedSplit(made, split, name), console)
    except Exception as error:
        error.report = report
        raise
    return report


@contextlib.contextmanager
def _owned(folder: epath.Path, report: Report) -> Iterator[None]:
    """Nobody else prepares in `folder` meanwhile. Buckets have no locks and are left unlocked."""
    if "://" in str(folder):
        yield
        return
    try:
        owner = Owner(folder, "a preparation")
    except OwnedError as error:
        raise DataError(str(error)) from error
    with owner:
        for left in folder.glob("incomplete.*"):
            report.notes.append(f"left by a preparation that was killed, can be deleted: {left}")
        yield


def _is_prepared(path: epath.Path) -> bool:
    return (path / FILENAME).exists() and (path / "dataset_info.json").exists()


def _earlier(path: epath.Path, strict: bool) -> Report:
    try:
        report = Report.load(path)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise checksums.damaged(path, f"{FILENAME}: {error}") from error
    if strict and report.faults:
        error = DataError(
            f"{path} was prepared before, with {report.faults:,} things repaired or skipped, which "
            "a strict preparation refuses. --overwrite prepares it anew."
        )
        error.report = report
        raise error
    return report


@contextlib.contextmanager
def _beside(path: epath.Path) -> Iterator[tuple[epath.Path, epath.Path]]:
    """(the folder to prepare in, tfds' `data_dir`; where the set then lies in it). What is prepared
    already stays as it is until the new set is whole, and then gives way to it.
    """
    config = path.parent
    aside = config / f"{path.name}.replaced"
    if aside.exists() and not path.exists():  # killed between the two renamings below
        aside.rename(path)
    root = config / f"incomplete.{os.getpid()}"
    made = root / config.parent.name / config.name / path.name
    try:
        yield root, made
        if aside.exists():
            aside.rmtree()
        if path.exists():
            path.rename(aside)
        made.rename(path)
        if aside.exists():
            aside.rmtree()
    finally:
        if root.exists():
            root.rmtree()


def config_for(
    name: str, data_set: DataSet, kind: str, max_side: int | None, options: Mapping[str, Any]
) -> Config:
    """The config that a preparation with these options has.

    Raises:
      DataError: a kind, size or option that the set does not have.
    """
    kind = kind or "".join(data_set.kinds[:1])
    if kind and name != "folder" and kind not in data_set.kinds:
        kinds = ", ".join(data_set.kinds) or "only one"
        raise DataError(f"{name} has no splits of kind {kind!r}; it has: {kinds}")
    if max_side is not None and max_side < 8:
        raise DataError(f"max_side is {max_side}; it must be at least 8 pixels")
    builder = data_set.load()
    config_class = type(builder.BUILDER_CONFIGS[0])
    unknown = set(options) - set(config_class.options())
    if unknown:
        known = ", ".join(config_class.options()) or "none"
        raise DataError(f"{name} has no option {', '.join(sorted(unknown))}; it has: {known}")
    config = config_class.make(kind=kind, max_side=max_side, **options)
    # tfds wants its own object for a name that the class lists.
    listed = (c for c in builder.BUILDER_CONFIGS if c.name == config.name)
    return next(listed, config)


def word(source: str) -> str:
    """The name of a folder as a config name."""
    return re.sub(r"\W+", "-", pathlib.Path(source).expanduser().resolve().name) or "folder"


def _source_folder(name: str, builder: type[Builder], source: str | None) -> pathlib.Path | None:
    instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if not instructions:
        if source is not None:
            raise DataError(
                f"{name} is generated: it has no use for the source {source}. (A builder that "
                "reads one says what it must hold in MANUAL_DOWNLOAD_INSTRUCTIONS.)"
            )
        return None
    if source is None:
        raise MissingSource(f"{name} is made from your own files (--source). {instructions}")
    folder = pathlib.Path(source).expanduser()
    if not folder.is_dir():
        raise MissingSource(f"the source {source} is not a folder. {name} needs: {instructions}")
    return folder


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what tfds logs off the terminal; our messages say the same in one place."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
