"""Extractors that are trained image networks of the library: of a run, at its best
checkpoint where it chose one, else its latest.

Any of them tells images better apart than their pixels do: the image network of a char-CNN-RNN or
of DAMSM, RUN:net of a style encoder, a classifier of attributes.
"""

import numpy as np

from t2i_jax.data import transforms
from t2i_jax.encoders.damsm import ImageFeatures
from t2i_jax.encoders.small_image_net import SmallImageNet
from t2i_jax.evaluation.extractors.base import EMBEDDING, Extractor, Images
from t2i_jax.evaluation.extractors.network import Layers, Preprocessing, extractor
from t2i_jax.losses.attributes import split
from t2i_jax.training import networks, runs
from t2i_jax.training.inputs import to_float
from t2i_jax.training.modules import recipe_module

_OF_CAPTIONS = ("text", networks.TEXT_ENCODER)


def run_of(source: str) -> str:
    """The run directory of RUN or RUN:part; "" where it names none."""
    for run in (source, source.rpartition(":")[0]):
        if runs.is_run(run):
            return run
    return ""


def load(source: str, batch_size: int, field: str = "features") -> Extractor:
    """The image network of RUN, its part "image", or "net" where it has none, or RUN:part. Layer:
    `EMBEDDING`; a classifier of attributes also has the logits of each by its name.

    field: that has `source`, for messages.

    Raises ValueError where the run has no such part or it reads no images, and FileNotFoundError
    where it has no checkpoint.
    """
    run = run_of(source)
    config = runs.read_config(run)
    parts = recipe_module(config.system).Recipe.networks
    usual = "net" if "image" not in parts and "net" in parts else "image"
    if (part := networks.locate(field, source, usual)[1]) in _OF_CAPTIONS:
        raise ValueError(f"{field}={source!r}: the part {part!r} reads captions, not images")
    network = networks.resolve(field, source, usual)
    side = getattr(network.module, "image_size", config.data.size)  # where it reads one size only
    step = runs.best_step(run)
    step = runs.latest_step(run) if step is None else step  # as `networks.resolve` chooses
    names, classes = (), ()
    if isinstance(network.module, SmallImageNet) and "classes" in config.recipe:
        names, classes = tuple(config.data.attributes), tuple(config.recipe.classes)

    def layers(output) -> Layers:
        vectors = output.code if isinstance(output, ImageFeatures) else output
        parts = split(vectors, classes) if classes else ()
        return {EMBEDDING: vectors, **dict(zip(names, parts, strict=True))}

    def resized(images: Images) -> Images:
        return np.stack([transforms.resize(image, side, side) for image in images])

    return extractor(
        name=config.system,
        description=f"the image network of {run}, step {step}, at {side} px",
        network=network,
        preprocessing=Preprocessing(
            f"resized to {side} px, areas averaged below half the size, v / 127.5 - 1",
            to_float,
            resized,
        ),
        layers=layers,
        batch_size=batch_size,
    )
