"""Tables of Arrow and Parquet with a column of images, as Hugging Face's `datasets` writes them.

An image is bytes, or a struct of ``bytes`` and ``path``, and is read when it is asked for. Names of
classes are taken from the features that `datasets` keeps in a table's schema.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from t2i_jax.data import file_kinds, source_files
from t2i_jax.data.layouts.own import columns, rows
from t2i_jax.data.layouts.own.columns import Columns
from t2i_jax.data.layouts.own.names import inside
from t2i_jax.data.layouts.own.rows import Row
from t2i_jax.data.records import Layout
from t2i_jax.data.report import Problem

if TYPE_CHECKING:
    import pyarrow as pa

    # Some rows of a table without the images, and what gives the value of the n-th image, from 0.
    Part = tuple[pa.Table, Callable[[int], Any]]

# What a column of bytes is called that are images, and the first choice among structs.
IMAGES = ("image", "img", "photo", "picture", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes")


def image_column(schema: "pa.Schema") -> str | None:
    """The column with the images, or None."""
    import pyarrow.types as kinds

    def is_bytes(kind: "pa.DataType") -> bool:
        return kinds.is_binary(kind) or kinds.is_large_binary(kind)

    found = []
    for field in schema:
        if kinds.is_struct(field.type):
            place = field.type.get_field_index("bytes")
            right = place >= 0 and is_bytes(field.type.field(place).type)
        else:
            right = field.name.lower() in IMAGES and is_bytes(field.type)
        if right:
            found.append(field.name)
    return min(found, key=lambda name: name.lower() not in IMAGES, default=None)


def used_columns(schema: "pa.Schema", where: str, layout: Layout, need_captions: bool) -> Columns:
    """Which columns of a table count; told once a layout. Raises DataError, see `columns.find`."""
    import pyarrow.types as kinds

    texts = {field.name for field in schema if _is_text(field.type)}
    used = columns.find(schema.names, image_column(schema), where, need_captions, texts)
    if used.label and kinds.is_nested(schema.field(used.label).type):  # several classes an image
        used = dataclasses.replace(used, label="")
    told = used.told(schema.names)
    if told not in layout.told:
        layout.told.append(told)
    return used


def rows_of(
    parts: "Iterable[Part]",
    file: str,
    used: Columns,
    split: str,
    root: pathlib.Path,
    problems: list[Problem],
) -> Iterator[tuple[str, Row]]:
    """(name, row) of the rows of a file, named like ``data.parquet:17``.

    split: where no column says another. root: the user's folder.
    """
    number = 0
    for table, image in parts:
        names = _class_names(table.schema, used.label)
        values = {name: _values(table.column(name)) for name in table.column_names}
        for i in range(table.num_rows):
            name, data = f"{file}:{number}", {key: column[i] for key, column in values.items()}
            number += 1
            if names and isinstance(label := data[used.label], int):
                data[used.label] = names[label] if 0 <= label < len(names) else None
            read = functools.partial(_image, image, i, root)
            its_split = rows.split_of(data, used, split, name)
            row = rows.described(data, used, read, its_split, name, problems)
            if row is not None:
                row.where = ""  # the name says it
                yield name, row


def needed(used: Columns, schema: "pa.Schema") -> list[str]:
    """The columns to read beside the images."""
    wanted = (*used.captions, used.label, used.box, used.split)
    return [name for name in wanted if name in schema.names]


def check_sound(column: "pa.Array") -> None:
    """Raises ArrowInvalid for an array whose parts do not fit together, which would end the whole
    program when it is read. Texts that are not UTF-8 are no such damage.
    """
    import pyarrow as pa

    if pa.types.is_struct(column.type):
        column.validate()
        for i in range(column.type.num_fields):
            check_sound(column.field(i))
        return
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error):
            raise


def damage(path: pathlib.Path) -> str:
    """Why a file cannot be read as a table: a short phrase to count by."""
    with path.open("rb") as file:
        return file_kinds.pointer(file.read(100)) or "table cut short or damaged"


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow.types as kinds

    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_dictionary(kind):
        kind = kind.value_type
    return kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)


def _class_names(schema: "pa.Schema", column: str) -> list[str]:
    """The names of a column's classes by number; [] where it is no ClassLabel of `datasets`."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[column]["names"]]
    except (KeyError, TypeError, ValueError):
        return []


def _values(column: "pa.ChunkedArray") -> list[Any]:
    """A column's values. Bytes of a text that are not UTF-8 become U+FFFD."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [_value(scalar) for scalar in column]


def _value(scalar: "pa.Scalar") -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        if hasattr(scalar, "as_buffer"):  # a text
            return scalar.as_buffer().to_pybytes().decode("utf-8", "replace")
        return [_value(item) for item in getattr(scalar, "values", ())]


def _image(value_of: Callable[[int], Any], i: int, root: pathlib.Path) -> bytes:
    """The bytes of an image, which may be those of a file in the folder. Raises Unreadable."""
    value = value_of(i)
    if isinstance(value, dict):
        path = value.get("path")
        if value.get("bytes") is None and isinstance(path, str):
            name = inside(path, root)
            if name is None:
                raise source_files.Unreadable("points outside the folder")
            return source_files.read(root / name)
        value = value.get("bytes")
    if value is None:
        raise source_files.Unreadable("missing")
    return value
