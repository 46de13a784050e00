"""A user's own images with captions, in whichever of the known layouts the folder is."""

import pathlib
from collections.abc import Sequence

from t2i_jax.data.layouts import files
from t2i_jax.data.layouts.own import (
    beside,
    captions_list,
    imagefolder,
    parquet,
    rows,
    saved,
    webdataset,
)
from t2i_jax.data.layouts.own.listing import Listing, survey
from t2i_jax.data.layouts.own.rows import Row, Rows
from t2i_jax.data.records import Layout
from t2i_jax.data.source_files import file_text

LAYOUTS = (captions_list, imagefolder, beside, webdataset, saved, parquet)  # the first counts
FORMATS = f"""\
  captions.jsonl: {captions_list.FORMAT}
  metadata.jsonl or metadata.csv with file_name and text (imagefolder of Hugging Face)
  x.jpg beside x.txt, a caption a line
  shards of webdataset: .tar files, not compressed, of x.jpg and x.txt or x.json
  a data set of Hugging Face: of save_to_disk, or .parquet with columns of images and text"""
_SHOWN = 8  # endings that are named


def read(source: pathlib.Path, no_captions: bool = False) -> Layout:
    """The splits of a folder, and in `Layout.told` which layout was found.

    no_captions: images need no captions, nor the folder a layout (then every image in it counts).

    Raises:
      MissingSource: no layout is recognised; the message says what is there and what is wanted.
      DataError: what the layout's own reader raises.
    """
    layout = Layout({})
    listing = survey(source, layout.problems)
    found = {kind: names for kind in LAYOUTS if (names := kind.find(listing))}
    if not found:
        if not (no_captions and listing.images):
            raise files.MissingSource(_unrecognised(listing, no_captions))
        layout.name = "images alone"
        layout.told.append("layout: images alone, without captions")
        rows.fill(layout, _images_alone(listing))
        return layout
    (kind, names), *others = found.items()
    layout.name = kind.NAME
    layout.told.append(f"layout: {kind.NAME}" + f" ({_some(names)})" * (names != [kind.NAME]))
    made = kind.read(listing, names, layout, not no_captions)
    if others:
        left = " and ".join(f"{kind.NAME} ({_some(names)})" for kind, names in others)
        layout.told.append(f"left: {left}, since {layout.name} comes first")
    unlisted = len(set(listing.images) - made.keys())
    if unlisted:
        named = _some(names) if len(names) == 1 else layout.name
        layout.notes.append(f"images in the folder that {named} does not name: {unlisted:,}")
    rows.fill(layout, made)
    return layout


def _images_alone(listing: Listing) -> Rows:
    return {name: Row(listing.root / name, []) for name in listing.images}


def _unrecognised(listing: Listing, no_captions: bool) -> str:
    """What is in a folder of no known layout, and what is wanted."""
    counts = listing.endings()
    seen = ", ".join(f"{count:,} x {ending}" for ending, count in counts[:_SHOWN])
    more = f" and {len(counts) - _SHOWN} other endings" if len(counts) > _SHOWN else ""
    wanted = f"Wanted are images and captions, in one of these ways:\n{FORMATS}"
    if no_captions:
        wanted = "Wanted are images"
    return f"{listing.root} has {seen or 'no files'}{more}. {wanted}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 2:,} more" if len(names) > 2 else ""
    return ", ".join(map(file_text, names[:2])) + more
