"""Grids of samples that show how a training goes on.

A training draws the same captions with the same noise at every interval, so that two grids differ
by what the generator has learnt between them.
"""

import contextlib

import jax
import numpy as np
from PIL import Image

from t2i_jax import pictures
from t2i_jax.data import catalog
from t2i_jax.data.pipeline import DataOptions
from t2i_jax.data.report import DataError
from t2i_jax.drawing import drawer
from t2i_jax.training.build import System

_SEED = 0


class SampleGrids:
    """Draws the grids of one training. The captions are those of the test split, which the training
    does not see, where the data set has one.

    Raises ValueError where a generator needs text and the split has none.
    """

    def __init__(self, system: System, options: DataOptions, source, count: int):
        with contextlib.suppress(DataError):  # a set without a test split: then from this one
            source = catalog.open_split(options.name, options.data_dir, "test")
        chosen = np.linspace(0, len(source) - 1, min(count, len(source))).astype(int)
        records = [source[int(i)] for i in chosen]
        self._captions = [next(iter(r["captions"]), "") for r in records]
        self._drawer = drawer.Drawer(system.recipe, system.encoder, len(records))
        self._noise = self._drawer.noise(drawer.image_keys(_SEED, range(len(records))))
        self._encoder = system.variables.get("encoder")
        if options.text == "embeddings":
            vectors = np.stack([r["embeddings"][0] for r in records])
            self._inputs = drawer.sentence_inputs(vectors)
        elif system.encoder is not None:
            self._inputs = drawer.text_inputs(system.tokenizer, self._captions)
        else:
            self._inputs = None

    def picture(self, networks) -> Image.Image:
        """The grid, drawn by ``networks`` (params and stats of the average)."""
        networks = jax.device_put(networks, jax.local_devices()[0])
        text = None
        if self._inputs is not None:
            text = self._drawer.text(networks, self._encoder, self._inputs)
        scales = self._drawer.images(networks, text, self._noise)
        captions = self._captions if self._inputs is not None else None
        return pictures.scales_grid(scales, captions)
