"""``pixels16``, which needs no weights: the image averaged over areas to 16 x 16 colours in [0, 1],
so 768 numbers. It sees layout and colour and nothing finer: enough to tell copies from variety, too
little to judge quality.
"""

import hashlib

import cv2
import numpy as np

from t2i_jax.evaluation.extractors.base import EMBEDDING, Extractor, Images

NAME = "pixels16"
_SIDE = 16
_WIDTH = _SIDE * _SIDE * 3
_WORDS = f"{_SIDE} x {_SIDE} area-averaged colours in [0, 1]"


def extractor() -> Extractor:
    """Its one layer is `EMBEDDING`."""
    return Extractor(
        name=NAME,
        description=_WORDS,
        preprocessing="none",
        digest=hashlib.sha256(_WORDS.encode()).hexdigest(),
        widths={EMBEDDING: _WIDTH},
        extract=lambda images: {EMBEDDING: vectors(images)},
    )


def vectors(images: Images) -> np.ndarray:
    """[N, 768] float32 in [0, 1]: each number the mean of a sixteenth of the height by a sixteenth
    of the width. Images below 16 pixels are enlarged.
    """
    small = [
        cv2.resize(image.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        for image in images
    ]
    return np.reshape(small, (len(images), _WIDTH)).astype(np.float32) / np.float32(255)
