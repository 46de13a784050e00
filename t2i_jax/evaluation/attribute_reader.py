"""Reading the attributes of images with a trained classifier (``configs/toy_attributes.py``)."""

import dataclasses
from collections.abc import Callable

import numpy as np

from t2i_jax.evaluation.extractors import of_runs
from t2i_jax.evaluation.extractors.base import EMBEDDING
from t2i_jax.training import runs

Readings = dict[str, np.ndarray]  # the value of each attribute, int [N]

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Reader:
    """name: the run. digest: of its network. read: uint8 [N, H, W, 3] of any one size ->
    `Readings`.
    """

    name: str
    digest: str
    read: Callable[[np.ndarray], Readings]


def load(workdir: str) -> Reader:
    """The reader of a run of ``configs/toy_attributes.py``.

    Raises FileNotFoundError where `workdir` is no run, ValueError where it trained something else.
    """
    runs.read_config(workdir)
    extractor = of_runs.load(f"{workdir}:net", _BATCH, "classifier")
    names = [name for name in extractor.widths if name != EMBEDDING]
    if not names:
        raise ValueError(
            f"classifier={workdir!r}: that run trained {extractor.name!r}, not a classifier of "
            "attributes, as the config toy_attributes does"
        )

    def read(images: np.ndarray) -> Readings:
        logits = extractor.extract(images)
        return {name: logits[name].argmax(axis=-1) for name in names}

    return Reader(workdir, extractor.digest, read)
