"""What all dual encoders share: how captions become ids, and what is said of those that are not
read as a whole.
"""

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from t2i_jax.data.captions import text_notes
from t2i_jax.data.tokenizers import Tokenizer
from t2i_jax.evaluation.extractors.base import EMBEDDING, DualEncoder, Extractor, Images


def pair(
    *,
    name: str,
    description: str,
    preprocessing: str,
    identity: str,
    width: int,
    of_images: Callable[[Images], np.ndarray],
    tokenizer: Tokenizer,
    of_ids: Callable[[np.ndarray, np.ndarray], np.ndarray],
    parts: Mapping[str, str],
    source: str,
) -> DualEncoder:
    """A dual encoder of `of_images`, uint8 [N, H, W, 3] -> [N, width], and `of_ids`, a tokenizer's
    ids and mask -> [N, width]. identity: of the image network and its weights.
    """

    def text(captions: Sequence[str]) -> np.ndarray:
        _check(captions)
        for note in text_notes(captions, tokenizer) if len(captions) else ():
            warnings.warn(f"{name}: {note}", stacklevel=2)
        return of_ids(*tokenizer.encode(captions))

    images = Extractor(
        name=name,
        description=description,
        preprocessing=preprocessing,
        digest=hashlib.sha256(f"{identity}\n{preprocessing}".encode()).hexdigest(),
        widths={EMBEDDING: width},
        extract=lambda images: {EMBEDDING: of_images(images)},
    )
    return DualEncoder(images=images, text=text, parts=parts, source=source)


def _check(captions: Sequence[str]) -> None:
    """Raises ValueError for what is no text in Unicode."""
    for i, caption in enumerate(captions):
        try:
            caption.encode()
        except UnicodeEncodeError as error:
            told = f"half a character at place {error.start}"
            raise ValueError(f"caption {i + 1}, {caption[:60]!r}: {told}") from None
