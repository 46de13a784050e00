"""``captions.jsonl``, this library's own list: one JSON object a line.

    {"image": "red/01.jpg", "caption": "a red car"}
    {"image": "02.png", "captions": ["a car", "a blue one"], "class": "car", "box": [x, y, w, h]}

``image`` is relative to the folder. ``class`` (a name or number), ``box`` (pixels of the file,
before its orientation tag turns it) and ``split`` ("train" by default) may be left out or null.
"""

from t2i_jax.data.layouts import files
from t2i_jax.data.layouts.own import json_lines, rows, splits
from t2i_jax.data.layouts.own.columns import Columns
from t2i_jax.data.layouts.own.listing import Listing
from t2i_jax.data.layouts.own.names import Names
from t2i_jax.data.layouts.own.rows import Rows
from t2i_jax.data.records import Layout
from t2i_jax.data.report import Problem

NAME = "captions.jsonl"
COLUMNS = Columns("image", ("caption", "captions"))
FIELDS = ("image", "caption", "captions", "class", "box", "split")
FORMAT = (
    'a line per image such as {"image": "01.jpg", "captions": ["a red car"]}; optional are '
    '"class", "box": [x, y, width, height] and "split"'
)


def find(listing: Listing) -> list[str]:
    """The list, which lies in the folder itself."""
    return [NAME] if files.is_file(listing.root / NAME) else []


def read(listing: Listing, found: list[str], layout: Layout, need_captions: bool) -> Rows:
    """The rows of the list; lines of one image are merged.

    Raises:
      DataError: a malformed or misspelt split name.
    """
    path, problems = listing.root / NAME, layout.problems
    names = Names(listing)
    made: Rows = {}
    for where, data in json_lines.read(path, NAME, problems):
        for field in sorted(data.keys() - set(FIELDS)):
            problems.append(Problem("kept", "list", f"unknown field {field!r} ignored", where))
        name = names.find(data.get("image"), "", "image", where, problems)
        if name is None:
            continue
        split = splits.checked(data.get("split"), where)
        row = rows.described(data, COLUMNS, listing.root / name, split, where, problems)
        if row is not None:
            rows.add(made, name, row, problems)
    return made
