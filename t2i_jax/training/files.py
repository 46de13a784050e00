"""Writing the small files of a run."""

import os
import pathlib


def write(path: pathlib.Path, text: str) -> None:
    """Writes a text, whole or not at all: a kill leaves what was there."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
