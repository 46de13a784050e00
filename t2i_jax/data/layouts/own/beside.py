"""Images with a text file of the same name beside each: ``x.jpg`` and ``x.txt``, a caption a
line. Folders ``train/``, ``val/`` and ``test/`` are splits; other folders mean nothing.
"""

import os

from t2i_jax.data.layouts.own import splits
from t2i_jax.data.layouts.own.listing import Listing
from t2i_jax.data.layouts.own.rows import Row, Rows
from t2i_jax.data.records import Layout
from t2i_jax.data.report import Problem

NAME = "text files beside images"


def find(listing: Listing) -> list[str]:
    """The text files that are beside an image of the same name."""
    stems = {_stem(name) for name in listing.images}
    return [name for name in listing.ending(".txt") if _stem(name) in stems]


def read(listing: Listing, found: list[str], layout: Layout, need_captions: bool) -> Rows:
    """A row for every image, and a problem for every text without one."""
    texts = {_stem(name): listing.root / name for name in found}
    for name in listing.ending(".txt"):
        if _stem(name) not in texts:
            reason = "text file without an image beside it"
            layout.problems.append(Problem("skipped", "caption", reason, name))
    of_folders = splits.of_folders(listing.images, layout.problems)
    return {
        name: Row(listing.root / name, texts.get(_stem(name), []), split=of_folders[name])
        for name in listing.images
    }


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]
