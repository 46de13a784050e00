"""Shards of webdataset: ``.tar`` files with ``x.jpg`` beside ``x.txt`` (a caption a line), or
beside ``x.json`` with a caption in it, as img2dataset writes both; ``x.cls`` has a class.

Images stay in the shards: what is kept is where each begins. Format:
https://github.com/webdataset/webdataset#the-webdataset-format
"""

import posixpath
from typing import Any

from t2i_jax.data.layouts import files
from t2i_jax.data.layouts.own import columns, rows, splits, tar_members
from t2i_jax.data.layouts.own.listing import IMAGES, Listing, ending
from t2i_jax.data.layouts.own.rows import Row, Rows
from t2i_jax.data.layouts.own.tar_members import Part
from t2i_jax.data.records import Layout
from t2i_jax.data.report import Problem
from t2i_jax.data.text_files import decode, parse_json, text_lines

NAME = "webdataset shards"
TEXTS = (".txt", ".json")


def find(listing: Listing) -> list[str]:
    """The shards."""
    return [name for name in listing.ending(".tar") if files.is_file(listing.root / name)]


def read(listing: Listing, found: list[str], layout: Layout, need_captions: bool) -> Rows:
    """A row for every sample with an image, named like ``000.tar/x.jpg``.

    Raises:
      DataError: a malformed or misspelt split name in a sample's JSON.
    """
    made: Rows = {}
    for shard in found:
        members = tar_members.members(listing.root / shard, shard, layout.problems)
        images = _images(shard, members, layout.problems)
        for key, image in images.items():
            row = _row(shard, key, image, members, layout.problems)
            if row is not None:
                made[f"{shard}/{image}"] = row
        used = {key + text for key in images for text in TEXTS}
        for name in (n for n in members if ending(n) in TEXTS and n not in used):
            reason = "text without an image of the same name"
            layout.problems.append(Problem("skipped", "caption", reason, f"{shard}/{name}"))
    return made


def _images(shard: str, members: dict[str, Part], problems: list[Problem]) -> dict[str, str]:
    """{key: image} of a shard's samples. The key is the name up to its last dot where a text is
    called so, else, as webdataset counts, up to the first. Of several images of one key the one
    with the shortest ending counts: "x.jpg" before "x.depth.png".
    """
    images: dict[str, str] = {}
    for name in (name for name in members if ending(name) in IMAGES):
        key = posixpath.splitext(name)[0]
        if not any(key + text in members for text in TEXTS):
            folder, base = posixpath.split(name)
            key = posixpath.join(folder, base.partition(".")[0])
        first, *others = sorted({images.get(key, name), name}, key=len)
        images[key] = first
        for other in others:
            reason = "another image of the same sample"
            problems.append(Problem("skipped", "record", reason, f"{shard}/{other}"))
    return images


def _row(
    shard: str, key: str, image: str, members: dict[str, Part], problems: list[Problem]
) -> Row | None:
    """The row of a sample. Captions of a text file count before those of the JSON."""
    data, where = _json(shard, f"{key}.json", members, problems), f"{shard}/{key}"
    text, label = members.get(f"{key}.txt"), members.get(f"{key}.cls")
    captions = columns.caption_columns(k for k, v in data.items() if isinstance(v, str | list))
    if text is not None:
        captions = ["txt"]
        data["txt"] = text_lines(text.read(), f"{where}.txt", problems)
    fields = [k for k in columns.LABELS if isinstance(data.get(k), str | int)]
    if label is not None:
        fields = ["cls"]
        data["cls"] = decode(label.read(), f"{where}.cls", problems)
    used = columns.Columns("", tuple(captions), *fields[:1])
    split = rows.split_of(data, used, splits.of_shard(shard), where)
    row = rows.described(data, used, members[image].read, split, where, problems)
    if row is not None:
        row.where = ""  # the name says it
    return row


def _json(
    shard: str, name: str, members: dict[str, Part], problems: list[Problem]
) -> dict[str, Any]:
    """The object of a sample's JSON; {} where there is none, reported where it is no object."""
    if name not in members:
        return {}
    try:
        value = parse_json(decode(members[name].read(), f"{shard}/{name}", problems))
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    problems.append(Problem("skipped", "caption", "not a JSON object", f"{shard}/{name}"))
    return {}
