"""The names that every floor of the library shares: a batch's keys and an encoded text.

Imports neither jax nor numpy, so that the data layer may use it.
"""

from typing import Any, NamedTuple

# Keys of a host batch, as the data pipeline makes it: NumPy arrays, B rows of one process.
IMAGES = "images"  # [B, H, W, 3] uint8 at the highest resolution; float32 in [-1, 1] in the step
WRONG_IMAGES = "wrong_images"  # [B, H, W, 3] uint8, an image of another class
TOKENS = "tokens"  # [B, K, T] int32, K captions of the image
MASK = "mask"  # [B, K, T] bool, True on real tokens
WRONG_TOKENS = "wrong_tokens"  # [B, K, T] int32, captions of an image of another class
WRONG_MASK = "wrong_mask"  # [B, K, T] bool
SENTENCE = "sentence"  # [B, E] float32, precomputed (mean of K captions), instead of tokens
WRONG_SENTENCE = "wrong_sentence"  # [B, E] float32
LABEL = "label"  # [B] int32, 0-based class; the record's own index where the set has no classes
ATTRIBUTES = "attributes"  # [B, A] int32, the value of each attribute of data.attributes
INDEX = "index"  # [B] int32, position of the record in its split


class Text(NamedTuple):
    """An encoded caption. A pytree: arrays are jax or NumPy arrays.

    sentence: [B, E] one vector a caption.
    words: [B, T, E] one vector a token, or None where the encoder has none.
    mask: [B, T] True on real tokens, or None.
    """

    sentence: Any
    words: Any = None
    mask: Any = None
