"""Real photographs and published weights for the tests that have them."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from t2i_jax.evaluation.extractors import weight_files


def weights(name: str) -> pathlib.Path:
    """The folder in which `launch/fetch_weights.sh` keeps these; the test is skipped without."""
    folder = weight_files.cache() / name
    if not folder.is_dir():
        pytest.skip(f"no {folder}; launch/fetch_weights.sh {name} fetches it")
    return folder


def photo(path: pathlib.Path, size: int) -> np.ndarray:
    """The middle square of a photograph, [size, size, 3] float32 in [-1, 1]."""
    with Image.open(path) as image:
        side, (width, height) = min(image.size), image.size
        left, top = (width - side) // 2, (height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
        pixels = np.asarray(square.resize((size, size), Image.Resampling.BICUBIC), np.float32)
    return pixels / 127.5 - 1.0
