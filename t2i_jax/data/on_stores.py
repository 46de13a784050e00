"""Prepared sets on stores (``gs://...``): array_record reads and writes local files, so a set is
prepared beside them and uploaded whole, and copied to the local disk before it is read.
"""

import functools
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable

from etils import epath

from t2i_jax import paths
from t2i_jax.data.names import find_data_set
from t2i_jax.data.report import FILENAME, DataError, Report

CACHE = "T2I_JAX_DATA_CACHE"  # the variable that says where copies lie
_LAST = (FILENAME, "dataset_info.json")  # without which a folder is no prepared set


def staged(prepare: Callable[..., Report]) -> Callable[..., Report]:
    """Lets `t2i_jax.data.catalog.prepare` work for a `data_dir` on a store. What the store refuses
    is a DataError.
    """

    @functools.wraps(prepare)
    def wrapped(name: str, source: str | None, data_dir: str | os.PathLike, **options) -> Report:
        try:
            root = paths.path(data_dir)
            for files in (source, options.get("images")):
                if files is not None:
                    paths.local(files, "the files of data sets")
        except ValueError as error:
            raise DataError(str(error)) from error
        if not paths.protocol(root):
            return prepare(name, source, data_dir, **options)
        builder = find_data_set(name).load().name
        with tempfile.TemporaryDirectory() as place:
            try:
                _fetch_descriptions(root / builder, pathlib.Path(place) / builder)
                report = prepare(name, source, place, **options)
                made = pathlib.Path(report.path)
                there = root / made.relative_to(place)
                if not report.already:
                    _upload(made, there)
            except OSError as error:
                raise DataError(str(error)) from error
        report.path = str(there)
        return report

    return wrapped


def fetched(folder: epath.Path) -> epath.Path:
    """A prepared set's folder on a local disk: itself, or a copy in ``$T2I_JAX_DATA_CACHE``
    (default: ``~/.cache/t2i_jax/data``), made once and again where the set has changed.
    """
    if not paths.protocol(folder):
        return folder
    with paths.told(folder):
        found = {file.name: file.stat() for file in folder.iterdir()}
    sizes = {name: stat.length for name, stat in found.items() if not stat.is_directory}
    key = hashlib.sha256(str(folder).encode())
    for name, size in sorted(sizes.items()):
        key.update(f"\n{name} {size} ".encode())
        if ".array_record" not in name:
            key.update(paths.read_bytes(folder / name))
    cache = pathlib.Path(os.environ.get(CACHE, "~/.cache/t2i_jax/data")).expanduser()
    here = cache.joinpath(key.hexdigest()[:16], *folder.parts[-3:])
    if not here.exists():
        print(f"copying {folder} to {here}: {sum(sizes.values()) / 1e6:,.1f} MB", file=sys.stderr)
        copy = here.with_name(f"{here.name}.{os.getpid()}")
        copy.mkdir(parents=True, exist_ok=True)
        for name in sizes:
            _copy(folder / name, copy / name)
        try:
            copy.rename(here)
        except OSError:  # another process was faster
            shutil.rmtree(copy)
    return epath.Path(here)


def _fetch_descriptions(folder: paths.Path, here: pathlib.Path) -> None:
    """The JSON files of every config, by which a preparation sees what is prepared already."""
    if not paths.exists(folder):
        return
    for version in (v for config in folder.iterdir() for v in config.iterdir() if v.is_dir()):
        target = here / version.parent.name / version.name
        target.mkdir(parents=True)
        for file in version.iterdir():
            if file.suffix == ".json":
                _copy(file, target / file.name)


def _upload(made: pathlib.Path, there: paths.Path) -> None:
    """Puts a prepared set in the place of what is there."""
    if paths.exists(there):
        with paths.told(there):
            for name in _LAST:
                (there / name).unlink(missing_ok=True)
            there.rmtree(missing_ok=True)
    for file in sorted(made.iterdir(), key=lambda file: file.name in _LAST):
        _copy(file, there / file.name)


def _copy(source: paths.Path, target: paths.Path) -> None:
    remote = source if paths.protocol(source) else target
    with paths.told(remote), source.open("rb") as read, target.open("wb") as write:
        shutil.copyfileobj(read, write, 1 << 24)
