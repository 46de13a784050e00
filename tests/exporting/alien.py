"""A stranger's program: runs the Python of each folder's README for 1, 3 and 5 images.

    python alien.py FOLDER...

t2i_jax cannot be imported here. Writes drawn_<rows>.npz into each folder: all images, and the noise
that they were drawn from.
"""

import os
import pathlib
import re
import sys

import numpy as np

CAPTIONS = [
    "a small red bird with black wings",
    "It's the RED bird\ufffd\ufffd\u00e9 with unknown words [SEP] bill_1",
    "???",
    "a " * 300,
    "r\u00e9d",
]
SIZES = (1, 3, 5)


def main() -> None:
    """Every folder, one after the other: programs find their files in the working directory."""
    sys.modules["t2i_jax"] = None
    for folder in sys.argv[1:]:
        os.chdir(folder)
        readme = pathlib.Path("README.md").read_text(encoding="utf-8")
        code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)[1]
        for rows in SIZES:
            captions = f"captions = {CAPTIONS[:rows]!r}\n"
            ours = re.sub(r"captions = \[\n.*?\n\]\n", lambda _: captions, code, flags=re.DOTALL)  # noqa: B023
            names = {}
            exec(ours.replace("rows = 4\n", f"rows = {rows}\n"), names)
            drawn = names["generator"](names["inputs"])
            arrays = {k: np.asarray(x) for k, x in drawn.items()}
            arrays |= {f"given_{k}": np.asarray(x) for k, x in names["inputs"].items()}
            np.savez(f"drawn_{rows}.npz", **arrays)


if __name__ == "__main__":
    main()
