"""Batches of noise, of the form of a data set that is not prepared."""

import numpy as np

from t2i_jax import types
from t2i_jax.data.options import DataOptions

_EMBEDDING = 1024  # of stored text vectors: that of the published ones


def noise_batch(data: DataOptions, tokenizer) -> dict[str, np.ndarray]:
    """A batch of the shapes and types that the pipeline of `data` would give."""
    rng = np.random.default_rng(0)
    rows = data.batch

    def image() -> np.ndarray:
        return rng.integers(0, 256, (rows, data.size, data.size, 3), np.uint8)

    def text(tokens: str, mask: str, sentence: str) -> dict[str, np.ndarray]:
        if data.text == "embeddings":
            return {sentence: rng.normal(size=(rows, _EMBEDDING)).astype(np.float32)}
        if tokenizer is None:
            raise ValueError("data.text='tokens' needs a tokenizer (or data.captions=0: no text)")
        shape = rows, data.captions, tokenizer.length
        ids = rng.integers(1, tokenizer.vocab_size, shape, np.int32)
        return {tokens: ids, mask: np.ones(shape, bool)}

    indices = np.arange(rows, dtype=np.int32)
    batch = {types.IMAGES: image(), types.LABEL: indices, types.INDEX: indices}
    if data.attributes:
        batch[types.ATTRIBUTES] = np.zeros((rows, len(data.attributes)), np.int32)
    if data.captions:
        batch |= text(types.TOKENS, types.MASK, types.SENTENCE)
    if data.mismatch == "image":
        batch[types.WRONG_IMAGES] = image()
    elif data.mismatch:
        batch |= text(types.WRONG_TOKENS, types.WRONG_MASK, types.WRONG_SENTENCE)
    return batch
