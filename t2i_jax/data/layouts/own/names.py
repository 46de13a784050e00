"""The images that a list names, as they are called in the folder."""

import os
import pathlib
import re
import unicodedata
from typing import Any

from t2i_jax.data.layouts import files
from t2i_jax.data.layouts.own.listing import Listing
from t2i_jax.data.report import Problem
from t2i_jax.data.values import is_nothing


class Names:
    """The images in a folder; a list may spell their names in another form of Unicode."""

    def __init__(self, listing: Listing):
        self._root = listing.root
        self._spelt = {unicodedata.normalize("NFC", name): name for name in listing.images}
        self._spelt |= {name: name for name in listing.images}

    def find(
        self, value: Any, folder: str, field: str, where: str, problems: list[Problem]
    ) -> str | None:
        """The name of the image that a list's field means; None, with a problem, where it means
        none, or one outside of the folder.

        folder: that of the list, below the root; "" for the root.
        """
        if not isinstance(value, str) or is_nothing(value):
            reason = f'field "{field}" is not a file name'
            problems.append(Problem("skipped", "image", reason, where))
            return None
        name = inside(value, self._root, folder)
        if name is None:
            reason = f'field "{field}" points outside the folder'
            problems.append(Problem("skipped", "image", reason, where))
            return None
        return self._spelt.get(name) or self._spelt.get(unicodedata.normalize("NFC", name), name)


def inside(name: str, root: pathlib.Path, folder: str = "") -> str | None:
    """A file's name below the root, as it is there, as written on Windows, or with the path of the
    root before it; None if it points outside.

    folder: that to which the name is relative.
    """
    if name.startswith("/"):
        roots = (f"{path}/" for path in (root.absolute(), os.path.realpath(root)))
        whole = next((name.removeprefix(path) for path in roots if name.startswith(path)), None)
        return None if whole is None else files.inside(whole)
    as_is = files.inside(os.path.join(folder, name))
    if "\\" not in name or (as_is is not None and os.path.lexists(root / as_is)):
        return as_is
    if re.match(r"[A-Za-z]:", name):
        return None
    return files.inside(os.path.join(folder, name.replace("\\", "/")))
