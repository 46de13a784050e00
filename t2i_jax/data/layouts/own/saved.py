"""What ``save_to_disk`` of Hugging Face's `datasets` leaves: a folder with ``state.json`` and
``data-*.arrow``, or one for each split beside a ``dataset_dict.json``.
"""

import functools
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from t2i_jax.data.layouts import files
from t2i_jax.data.layouts.own import splits, tables
from t2i_jax.data.layouts.own.columns import Columns
from t2i_jax.data.layouts.own.listing import Listing
from t2i_jax.data.layouts.own.rows import Rows
from t2i_jax.data.records import Layout
from t2i_jax.data.report import DataError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "data set saved by Hugging Face's datasets"


def find(listing: Listing) -> list[str]:
    """The ``state.json`` of every saved split."""
    infos = {os.path.dirname(name) for name in listing.named("dataset_info.json")}
    return [name for name in listing.named("state.json") if os.path.dirname(name) in infos]


def read(listing: Listing, found: list[str], layout: Layout, need_captions: bool) -> Rows:
    """The rows of all splits.

    Raises:
      DataError: no column of images or captions, or a split that is no word.
    """
    made: Rows = {}
    together = set(map(os.path.dirname, listing.named("dataset_dict.json")))
    for file in found:
        folder = os.path.dirname(file)
        state = files.optional_json(listing.root / file, layout.problems)
        # Of a part, such as "train[:10%]", the split that it is of.
        word = re.match(r"\w*", str(state.get("_split") or ""))[0]
        split = splits.translated(word, file)
        if folder and os.path.dirname(folder) in together:
            split = splits.translated(os.path.basename(folder), file)
        for name in _tables(state, folder, listing):
            if name in listing.files:
                _add(made, listing, name, split, layout, need_captions)
            else:
                layout.problems.append(Problem("skipped", "list", "table missing", name))
    return made


def _tables(state: dict[str, Any], folder: str, listing: Listing) -> list[str]:
    """The tables that a ``state.json`` names; all beside it, where it names none."""
    listed = state.get("_data_files")
    entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
    names = [e["filename"] for e in entries if isinstance(e.get("filename"), str)]
    if not names:
        return [name for name in listing.ending(".arrow") if os.path.dirname(name) == folder]
    return [os.path.join(folder, os.path.basename(name)) for name in names]


def _add(
    made: Rows, listing: Listing, name: str, split: str, layout: Layout, need_captions: bool
) -> None:
    import pyarrow as pa

    path = listing.root / name
    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
            if tables.image_column(stream.schema) is None:
                columns = ", ".join(stream.schema.names)
                raise DataError(f"{name} has the columns {columns}: none of them holds images")
            used = tables.used_columns(stream.schema, name, layout, need_captions)
            parts = _parts(stream, used)
            made.update(tables.rows_of(parts, name, used, split, listing.root, layout.problems))
    except (pa.ArrowException, OSError):
        layout.problems.append(Problem("skipped", "list", tables.damage(path), name))


def _parts(stream: "pa.RecordBatchReader", used: Columns) -> "Iterator[tables.Part]":
    import pyarrow as pa

    wanted = tables.needed(used, stream.schema)
    for batch in stream:
        for column in batch.columns:
            tables.check_sound(column)
        images = batch.column(used.image)
        table = pa.Table.from_batches([batch]).select(wanted)
        yield table, functools.partial(_value, images)


def _value(images: "pa.Array", i: int) -> Any:
    return images[i].as_py()
