"""A test split for a set that has none: images that training does not see, chosen by their bytes.

The same image is always on the same side, whatever is added to the set or taken from it, and so are
copies of it under other names.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console

from t2i_jax.data.prepare_progress import track
from t2i_jax.data.records import Layout, Raw, Split, image_data
from t2i_jax.data.report import DataError
from t2i_jax.data.source_files import Unreadable, file_text

SHARE = 0.1  # of the images
MOST = 0.5
LEAST = 20  # images, of which any are held out


def hold_out(layout: Layout, share: float, console: Console | None = None) -> None:
    """Moves a share of the split "train" to a split "test", if the layout has neither "test" nor
    "val", and tells it.

    share: 0 to `MOST`; 0 leaves the layout as it is. At least one image is moved, but none of a set
    of fewer than `LEAST` images.
    console: where progress is shown; None shows none.

    Raises:
      DataError: another share.
    """
    if not 0 <= share <= MOST:
        raise DataError(f"test_share={share:g} must be from 0 to {MOST:g}")
    stated = [name for name in ("test", "val") if name in layout.splits]
    if stated and share not in (0, SHARE):
        layout.notes.append(
            f"test_share={share:g} has no use: the set has a split {stated[0]!r} of its own"
        )
    if stated or share == 0 or "train" not in layout.splits:
        return
    raws = list(layout.splits["train"].items)
    if len(raws) < LEAST:
        layout.told.append(
            f"no test split: {len(raws):,} images are too few to hold some out ({LEAST} are needed)"
        )
        return
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        numbers = list(track(pool.map(_number, raws), "choosing a test split", len(raws), console))
    bound = max(share, min(numbers))
    sides = {True: [], False: []}
    for raw, number in zip(raws, numbers, strict=True):
        sides[number <= bound].append(raw)
    train, test = sides[False], sides[True]
    layout.splits["train"] = Split(train, len(train))
    layout.splits["test"] = Split(test, len(test))
    layout.told.append(
        f"the set has no test split: {len(test):,} of its {len(raws):,} images are held out as "
        f"one, chosen by their contents, each with a chance of {share:.0%}; --test_share=0 keeps "
        "all for training"
    )


def _number(raw: Raw) -> float:
    """From 0 to 1, drawn by the image's bytes; by its name where there are none to be had."""
    try:
        data = image_data(raw)
    except Unreadable:
        data = file_text(raw.id).encode()
    return int.from_bytes(hashlib.sha256(data).digest()[:6], "big") / 2**48
