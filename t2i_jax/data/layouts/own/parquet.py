"""Parquet files with a column of images, as Hugging Face's hub keeps data sets:
``data/train-00000-of-00001.parquet``. Splits are told by the names of files and folders.
"""

import functools
import pathlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from t2i_jax.data import source_files
from t2i_jax.data.layouts.own import splits, tables
from t2i_jax.data.layouts.own.columns import Columns
from t2i_jax.data.layouts.own.listing import Listing
from t2i_jax.data.layouts.own.rows import Rows
from t2i_jax.data.records import Layout
from t2i_jax.data.report import Problem

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet

NAME = "Parquet files with images"
_KEPT = 2  # row groups: threads read at the end of one and at the beginning of the next


def find(listing: Listing) -> list[str]:
    """The files with a column of images, and those that cannot be read. Those beside a shard of
    img2dataset hold its lists.
    """
    names = [n for n in listing.ending(".parquet") if f"{n[:-8]}.tar" not in listing.files]
    if not names:
        return []
    import pyarrow as pa
    import pyarrow.parquet

    found = []
    for name in names:
        try:
            if tables.image_column(pa.parquet.read_schema(listing.root / name)) is not None:
                found.append(name)
        except (pa.ArrowException, OSError):
            found.append(name)
    return found


def read(listing: Listing, found: list[str], layout: Layout, need_captions: bool) -> Rows:
    """The rows of all files.

    Raises:
      DataError: no column of captions, or a split that is no word.
    """
    import pyarrow as pa
    import pyarrow.parquet

    made: Rows = {}
    for name in found:
        path = listing.root / name
        try:
            with pa.parquet.ParquetFile(path) as file:
                used = tables.used_columns(file.schema_arrow, name, layout, need_captions)
                split, parts = splits.of_shard(name), _parts(file, path, used)
                root, problems = listing.root, layout.problems
                made.update(tables.rows_of(parts, name, used, split, root, problems))
        except (pa.ArrowException, OSError):
            layout.problems.append(Problem("skipped", "list", tables.damage(path), name))
    return made


def _parts(
    file: "pa.parquet.ParquetFile", path: pathlib.Path, used: Columns
) -> "Iterator[tables.Part]":
    images, wanted = _Images(path, used.image), tables.needed(used, file.schema_arrow)
    for group in range(file.num_row_groups):
        yield (
            file.read_row_group(group, columns=wanted),
            functools.partial(images.value, group),
        )


class _Images:
    """The images of a file, which can be read only a group of rows at a time."""

    def __init__(self, path: pathlib.Path, column: str):
        self._path, self._column = path, column
        self._lock = threading.Lock()
        self._group = functools.lru_cache(_KEPT)(self._read)

    def value(self, group: int, i: int) -> Any:
        """The i-th image of a group. Raises Unreadable."""
        with self._lock:
            images = self._group(group)
        if images is None:
            raise source_files.Unreadable("is in a damaged part of the table")
        return images[i].as_py()

    def _read(self, group: int):
        import pyarrow as pa
        import pyarrow.parquet

        try:
            with pa.parquet.ParquetFile(self._path) as file:
                return file.read_row_group(group, columns=[self._column]).column(0)
        except (pa.ArrowException, OSError):
            return None
