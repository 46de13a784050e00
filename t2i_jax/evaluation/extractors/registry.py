"""Every extractor of image features by its name.

    pixels16                     colours at 16 x 16; needs no weights
    inception_2015               the Inception of FID, KID and IS, resized as TensorFlow 1 did
    inception_2015:pytorch_fid   the same, resized as pytorch-fid does; :clean as clean-fid does
    inception_torchvision        torchvision's, as DM-GAN's and DF-GAN's releases look at images
    inception_keras              Keras', as XMC-GAN's does
    inception_birds, inception_flowers   of StackGAN's authors, for IS on CUB and Oxford-102
    vgg16                        its second linear layer, of the original precision and recall
    efficientnet_lite0           pooled features and logits of ImageNet's classes
    RUN, RUN:part                a trained image network of this library

The layers of each are in its `Extractor.widths`.
"""

import os

from t2i_jax.evaluation.extractors import of_runs, pixels, published
from t2i_jax.evaluation.extractors.base import Extractor

NAMES = (pixels.NAME, *published.NAMES)


def load(
    name: str | os.PathLike, weights: str | os.PathLike | None = None, batch_size: int = 64
) -> Extractor:
    """The extractor of that name, ready to run on all devices of this process.

    weights: of a published network, the file or a folder with it; None: where
        ``launch/fetch_weights.sh`` keeps them.
    batch_size: images at a time, on all devices together; changes no vector.

    Raises ValueError for an unknown name, weights that do not fit or are not asked for, and a run
    without such a part; FileNotFoundError, with the file's name and origin, for missing weights.
    """
    name = os.fspath(name)
    if name in published.NAMES:
        return published.load(name, weights, batch_size)
    if weights is not None:
        raise ValueError(f"weights={os.fspath(weights)!r}: {name!r} reads no file of weights")
    if name == pixels.NAME:
        return pixels.extractor()
    if of_runs.run_of(name):
        return of_runs.load(name, batch_size)
    raise ValueError(
        f"features={name!r} is neither {', '.join(map(repr, NAMES))} nor the run directory of an "
        "encoder with an image network"
    )
