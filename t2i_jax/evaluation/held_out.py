"""The part of a run's data set that its training did not see: captions to draw from, and the real
images that belong to them.
"""

import dataclasses
from typing import Any

import numpy as np

from t2i_jax.choices import check_choice
from t2i_jax.data import catalog, content
from t2i_jax.data.options import DataOptions
from t2i_jax.data.prepared import PreparedSplit
from t2i_jax.data.report import NoHeldOut
from t2i_jax.data.transforms import ImageTransform

SPLITS = ("test", "val")  # the names of held-out splits, the better first


RULES = {
    "random": "a random order of the images, of each time one of its captions, drawn from the seed",
    "every": "all images in one fixed order, again and again; each time the next of its captions",
}


class HeldOut:
    """Sample i belongs to record ``order[i % records]``: the same whatever the number of samples,
    and each record once before any comes again.

    options: of the run's data, as it was trained.
    split: the first of `SPLITS` that the set has, if empty.
    rule: of `RULES`; "every" is DM-GAN's and DF-GAN's.

    Raises NotPrepared (a DataError and a FileNotFoundError) where the set is not in
    ``options.data_dir``, DataError where it has no such split, ValueError for a negative seed.
    """

    def __init__(self, options: DataOptions, split: str = "", seed: int = 0, rule: str = "random"):
        if seed < 0:
            raise ValueError(f"seed={seed}: must be at least 0")
        check_choice("rule", rule, tuple(RULES))
        self._source, self._seed, self._rule = open_held_out(options, split), seed, rule
        # Sets are sorted by class: the first images of "every" are of all classes as well.
        drawn = np.random.default_rng((seed if rule == "random" else 0, 0))
        self._order = drawn.permutation(len(self._source))
        self._transform = as_seen(options)
        self.title = f"{options.name}/{self._source.info['split']}"

    def __len__(self) -> int:
        return len(self._source)

    @property
    def source(self) -> PreparedSplit:
        """The records."""
        return self._source

    @property
    def identity(self) -> dict[str, Any]:
        """All that captions and images depend on, JSON types."""
        return {
            "data": self.title,
            "content": content.digest(content.table(self._source)),
            "transform": repr(self._transform),
            "rule": self._rule,
            "seed": self._seed,
        }

    def records(self, num: int, start: int = 0) -> np.ndarray:
        """Which records these samples are of, int [num]."""
        return self._order[np.arange(start, start + num) % len(self)]

    def captions(self, num: int, start: int = 0) -> list[str]:
        """The captions of `num` samples from number `start` on.

        Raises ValueError, naming the record, where it has none.
        """
        return self._texts("captions", num, start)

    def embeddings(self, num: int, start: int = 0) -> np.ndarray:
        """The same of the stored embeddings, [num, E] float32. Raises ValueError as `captions`."""
        return np.stack(self._texts("embeddings", num, start)).astype(np.float32)

    def labels(self, num: int, start: int = 0) -> np.ndarray:
        """Their classes, int [num]; an image without one is a class of its own."""
        records, every = self.records(num, start), np.asarray(self._source.labels)
        return np.where(every[records] < 0, max(every.max(), -1) + 1 + records, every[records])

    def images(self, num: int, start: int = 0) -> np.ndarray:
        """The real images of these samples, each record once, uint8 [<=num, size, size, 3].

        As training saw them (box, resizing), but the middle instead of a random crop, not mirrored.
        """
        records = (self._source[int(i)] for i in self._order[start : start + num])
        return np.stack([self._transform(r["image"], r.get("bbox"), None) for r in records])

    def _texts(self, key: str, num: int, start: int) -> list:
        texts = []
        for i in range(start, start + num):
            record = self._source[int(self._order[i % len(self)])]
            choices = record.get(key)
            if choices is None or not len(choices):
                raise ValueError(
                    f"{self.title}, record {record['image/id']!r}: it has no {key}; give the "
                    "captions in a file (--captions_file)"
                )
            texts.append(choices[self._choice(i, len(choices))])
        return texts

    def _choice(self, i: int, choices: int) -> int:
        if self._rule == "every":
            return i // len(self) % choices
        return int(np.random.default_rng((self._seed, i + 1)).integers(choices))


def as_seen(options: DataOptions) -> ImageTransform:
    """The way from a record to an image as training saw it, without what is random in that."""
    crop = "none" if options.crop == "none" else "center"
    return dataclasses.replace(options.image_transform, crop=crop, flip=False)


def open_held_out(options: DataOptions, split: str = "") -> PreparedSplit:
    """The split to evaluate on; see `HeldOut`."""
    trained = catalog.open_split(options.name, options.data_dir, options.split)
    if not split:
        splits = trained.info["splits"]
        split = next((name for name in SPLITS if name in splits), "")
        if not split:
            raise NoHeldOut(
                f"{options.name} has no split {' or '.join(SPLITS)}, only: {', '.join(splits)}; "
                "prepare it with one, or evaluate on another (--split)"
            )
    return catalog.open_split(options.name, options.data_dir, split)
