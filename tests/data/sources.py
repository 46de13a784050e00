"""Records in memory, in the schema of the prepared sets, for tests of the pipeline."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from t2i_jax.data.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer(length=32)


def encoded(image: np.ndarray, form: str = "JPEG", **options) -> bytes:
    """The bytes of an image file; `image` is an array or a Pillow image."""
    out = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(out, form, **options)
    return out.getvalue()


def photo(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A smooth random picture [height, width, 3] with the spectrum of a blurred photograph."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 12 + 2, width // 12 + 2, 3))
    picture = Image.fromarray(coarse.astype(np.uint8)).resize((width, height), Image.BICUBIC)
    return np.asarray(picture)


class MemorySource:
    """`count` records of small JPEGs; record i has label ``label(i)`` and captions that name i."""

    def __init__(self, count: int = 23, label: Callable[[int], int] = lambda i: i % 5, side=40):
        self.labels = np.array([label(i) for i in range(count)], np.int32)
        self.records = [
            {
                "image": encoded(photo(side + i % 7, side + i % 5, seed=i)),
                "image/id": f"id{i}",
                "image/filename": f"folder/{i}.jpg",
                "captions": [f"record {i} caption {j}" for j in range(3 + i % 2)],
                "label": int(self.labels[i]),
                "bbox": np.array([5, 6, 20, 25], np.float32),
                "embeddings": np.array([[i, j] for j in range(3 + i % 2)], np.float32),
            }
            for i in range(count)
        ]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict:
        return dict(self.records[index])
