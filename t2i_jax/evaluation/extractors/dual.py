"""Dual encoders by name, and whether one flatters a GAN that was trained with its networks.

An encoder that a generator was trained with finds in its images what it asked for: XMC-GAN's paper
(Zhang et al., CVPR 2021, arXiv 2101.04702, section 5) measures R-precision by an encoder that saw
other data for that reason. Such numbers are marked.
"""

import os
from collections.abc import Sequence

from t2i_jax import paths
from t2i_jax.evaluation.extractors import clip, pairs_of_runs
from t2i_jax.evaluation.extractors.base import DualEncoder
from t2i_jax.training import networks, runs
from t2i_jax.training.modules import recipe_module


def load_dual(
    source: str | os.PathLike, weights: str | os.PathLike | None = None, batch_size: int = 64
) -> DualEncoder:
    """The dual encoder of a source:

        clip        CLIP ViT-B/32, from the folder `weights`, by default `clip.usual_folder`
        FOLDER      any CLIP, as Hugging Face keeps it
        RUN         of a DAMSM, a char-CNN-RNN, or an XMC-GAN, whose discriminator compares; of
                    another GAN, the DAMSM that it was trained with

    Raises FileNotFoundError where the weights are missing, ValueError where the source is none of
    these, or its files are damaged or do not fit each other.
    """
    source = os.fspath(source)
    if source == clip.NAME:
        return clip.load(weights, batch_size)
    if weights is not None:
        raise ValueError(
            f"weights={os.fspath(weights)!r} are for {clip.NAME!r}; {source!r} has its own"
        )
    if runs.is_run(source):
        return pairs_of_runs.load(source, batch_size)
    if not (source and paths.path(source).is_dir()):
        raise ValueError(
            f"{source!r} is no dual encoder: give {clip.NAME!r}, the folder of a CLIP as Hugging "
            "Face keeps it, or the run of a DAMSM, a char-CNN-RNN or an XMC-GAN, or one "
            "that was trained with a DAMSM"
        )
    return clip.load(source, batch_size)


def trained_with(run: str | os.PathLike, dual: DualEncoder) -> Sequence[str]:
    """Names of the networks of a run whose weights, to the last bit, are those of the dual encoder:
    of those that the run has kept (``RUN/frozen``) by their files, and by its system where the
    encoder is of what this run itself trained. Numbers by an encoder that has any flatter the run.

    Raises ValueError where a file of the run is damaged, FileNotFoundError where it is no run.
    """
    config = runs.read_config(run)
    kept, parts = networks.kept_digests(run), set(dual.parts.values())
    found = [name for name, digest in kept.items() if digest in parts]
    own = recipe_module(config.system).Recipe.embeds and _same(run, dual.source)
    return [*found, config.system] if own else found


def _same(a: str | os.PathLike, b: str | os.PathLike) -> bool:
    first, second = (paths.path(x) for x in (a, b))
    return first.resolve() == second.resolve()
