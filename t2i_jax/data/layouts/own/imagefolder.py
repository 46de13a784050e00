"""Hugging Face's imagefolder: a ``metadata.jsonl`` or ``metadata.csv`` with ``file_name`` and a
column of captions, in the folder or in several below it (``train/metadata.csv``, ...).

Names are relative to the list's own folder. Format:
https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

import csv
import io
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from t2i_jax.data.layouts.own import columns, json_lines, rows, splits
from t2i_jax.data.layouts.own.listing import Listing
from t2i_jax.data.layouts.own.names import Names
from t2i_jax.data.layouts.own.rows import Rows
from t2i_jax.data.records import Layout
from t2i_jax.data.report import DataError, Problem
from t2i_jax.data.text_files import decode

NAME = "imagefolder of Hugging Face"
LISTS = ("metadata.jsonl", "metadata.csv")
FILE = "file_name"
csv.field_size_limit(1 << 24)  # characters of a caption, before a quote that is not closed is told


def find(listing: Listing) -> list[str]:
    """The lists: in a folder with both kinds, the JSON lines."""
    found = listing.named(*LISTS)
    return [f for f in found if not f.endswith(".csv") or f"{f[:-4]}.jsonl" not in found]


def read(listing: Listing, found: list[str], layout: Layout, need_captions: bool) -> Rows:
    """The rows of all lists.

    Raises:
      DataError: a list without file names or captions.
    """
    problems, names = layout.problems, Names(listing)
    named: list[tuple[str, str, dict[str, Any], columns.Columns]] = []
    for file in found:
        read_list = _csv if file.endswith(".csv") else json_lines.read
        table = list(read_list(listing.root / file, file, problems))
        used, folder = _columns(file, table, layout, need_captions), os.path.dirname(file)
        for where, data in table:
            name = names.find(data.get(used.image), folder, used.image, where, problems)
            if name is not None:
                named.append((name, where, data, used))
    folders = splits.of_folders(dict.fromkeys(name for name, *_ in named), problems)
    made: Rows = {}
    for name, where, data, used in named:
        split = rows.split_of(data, used, folders[name], where)
        row = rows.described(data, used, listing.root / name, split, where, problems)
        if row is not None:
            rows.add(made, name, row, problems)
    return made


def _columns(
    file: str, table: list[tuple[str, dict]], layout: Layout, need_captions: bool
) -> columns.Columns:
    """What the fields of a list hold. Raises DataError as `read`."""
    fields = list(dict.fromkeys(field for _, data in table for field in data))
    if not fields:
        return columns.Columns(FILE, ())
    files = [field for field in fields if field == FILE or field.endswith(f"_{FILE}")]
    if not files:
        raise DataError(
            f"{file} has the columns {', '.join(fields)}, and no file_name: the one with the "
            "images' names, relative to the list's folder, must be called so. A list that is not "
            "meant must lie elsewhere"
        )
    image = FILE if FILE in files else files[0]
    used = columns.find(fields, image, file, need_captions)
    told = used.told(fields)
    if told not in layout.told:
        layout.told.append(told)
    return used


def _csv(
    path: pathlib.Path, name: str, problems: list[Problem]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and line, {column: text}) of the lines of a table with a head; blanks around the names
    of columns are none of theirs.
    """
    text = decode(path.read_bytes(), name, problems)
    head = text.split("\n", 1)[0]
    reader = csv.reader(
        io.StringIO(text.replace("\0", "\ufffd"), newline=""),
        delimiter=max(",;\t", key=head.count),  # Excel writes ";" in half of Europe
    )
    fields: list[str] | None = None
    while True:
        first = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            where = f"{name}:{first}"
            problems.append(Problem("skipped", "image", f"line is not CSV: {error}", where))
            continue
        # A quote that is not closed takes further lines with it.
        where = f"{name}:{first}" + f"-{reader.line_num}" * (reader.line_num > first)
        if not any(cell.strip() for cell in row):
            continue
        if fields is None:
            fields = [cell.strip() for cell in row]
        elif len(row) != len(fields):
            reason = "line with more or fewer columns than the first: text with commas needs quotes"
            problems.append(Problem("skipped", "image", reason, where))
        else:
            yield where, dict(zip(fields, row, strict=True))
