"""Writing the small files of a run."""

import os

from t2i_jax import paths


def write(path: paths.Path, text: str) -> None:
    """Writes a text, whole or not at all: a kill leaves what was there."""
    if paths.protocol(path):
        paths.write_bytes(path, text.encode())
        return
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
