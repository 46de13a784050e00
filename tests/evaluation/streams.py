"""Image sets and networks without weights, to see what evaluation does with them."""

import numpy as np

from t2i_jax.evaluation.extractors.base import Extractor


class Colours:
    """Image i is of noise that i seeds; its caption says its number."""

    captioned = True

    def __init__(self, count: int, seed: int = 0, size: tuple[int, int] = (8, 6)):
        self._count, self._seed, self._size = count, seed, size
        self.title, self.identity = "colours", {"seed": seed}

    def __len__(self) -> int:
        return self._count

    def images(self, start: int, stop: int) -> np.ndarray:
        every = [np.random.default_rng((self._seed, i)) for i in range(start, stop)]
        return np.stack([r.integers(0, 256, (*self._size, 3), np.uint8) for r in every])

    def captions(self, start: int, stop: int) -> list[str]:
        return [f"image {i}" for i in range(start, stop)]

    def labels(self) -> np.ndarray:
        return np.arange(self._count)


class Counted:
    """Another set, noting which images are made; as if killed before number `fails_at`."""

    def __init__(self, images, fails_at: int | None = None):
        self._images, self.fails_at, self.made = images, fails_at, []

    def __getattr__(self, name):
        return getattr(self._images, name)

    def __len__(self) -> int:
        return len(self._images)

    def images(self, start: int, stop: int) -> np.ndarray:
        if self.fails_at is not None and start <= self.fails_at < stop:
            raise KeyboardInterrupt
        self.made += range(start, stop)
        return self._images.images(start, stop)


def mean_colour(layer: str = "mean", digest: str = "a") -> Extractor:
    """The mean of each channel."""
    return Extractor(
        name="mean_colour",
        description="mean of each channel",
        preprocessing="none",
        digest=digest,
        widths={layer: 3},
        extract=lambda images: {layer: images.mean(axis=(1, 2)).astype(np.float32)},
    )


def words(captions) -> np.ndarray:
    """Three numbers of each caption."""
    return np.array([[len(c), c.count("a"), int(c[-1] == "1")] for c in captions], np.float32)
