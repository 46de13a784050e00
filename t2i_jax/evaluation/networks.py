"""The network that a protocol needs, and where features of real images are kept."""

import os
import pathlib

from t2i_jax import paths
from t2i_jax.evaluation.extractors import dual, registry
from t2i_jax.evaluation.extractors.base import DualEncoder, Extractor
from t2i_jax.evaluation.protocols.base import Needs

CACHE = "T2I_JAX_CACHE"  # the environment variable that names another folder


def load(
    needs: Needs, features: str, encoder: str, batch_size: int, weights: str | None = None
) -> Extractor | DualEncoder:
    """The network of a protocol.

    features: the network of images of protocols that name none. encoder: the encoders of those that
    compare images with captions. weights: a file or folder in place of the usual one.

    Raises ValueError where one is needed and not named, or named and not needed.
    """
    if needs.dual:
        source = encoder or needs.extractor
        if not source:
            raise ValueError(
                "this protocol compares images with captions: name encoders with --encoder=RUN or "
                "--encoder=clip"
            )
        return dual.load_dual(source, weights, batch_size)
    if not needs.extractor and not features:
        raise ValueError(
            "this protocol names no network of images: give one with --features, such as "
            "efficientnet_lite0 or the run of an encoder"
        )
    return registry.load(needs.extractor or features, weights, batch_size)


def cache() -> pathlib.Path:
    """The folder of features of real images, shared by all runs."""
    home = os.environ.get(CACHE) or os.path.expanduser("~/.cache/t2i_jax")
    return paths.local(home, "features of real images") / "features"
