"""The part of a run's data set that its training did not see: captions to draw from, and the real
images that belong to them.
"""

import dataclasses

import numpy as np

from t2i_jax.data import catalog
from t2i_jax.data.options import DataOptions
from t2i_jax.data.report import DataError

SPLITS = ("test", "val")  # the names of held-out splits, the better first


class HeldOut:
    """Sample i belongs to record ``order[i % records]``, where `order` is a permutation drawn from
    the seed: the same whatever the number of samples, and each record once before any comes again.

    options: of the run's data, as it was trained.
    split: the first of `SPLITS` that the set has, if empty.

    Raises NotPrepared (a DataError and a FileNotFoundError) where the set is not in
    ``options.data_dir``, DataError where it has no such split, ValueError for a negative seed.
    """

    def __init__(self, options: DataOptions, split: str = "", seed: int = 0):
        if seed < 0:
            raise ValueError(f"seed={seed}: must be at least 0")
        self._source, self._seed = _open(options, split), seed
        self._order = np.random.default_rng((seed, 0)).permutation(len(self._source))
        self._transform = dataclasses.replace(
            options.image_transform,
            crop="none" if options.crop == "none" else "center",
            flip=False,
        )
        self.title = f"{options.name}/{self._source.info['split']}"

    def __len__(self) -> int:
        return len(self._source)

    def captions(self, num: int) -> list[str]:
        """The captions of samples 0..num-1: of each one's record, one drawn from (seed, i).

        Raises ValueError, naming the record, where it has none.
        """
        return self._texts("captions", num)

    def embeddings(self, num: int) -> np.ndarray:
        """The same of the stored embeddings, [num, E] float32. Raises ValueError as `captions`."""
        return np.stack(self._texts("embeddings", num)).astype(np.float32)

    def images(self, num: int) -> np.ndarray:
        """The real images of samples 0..num-1, uint8 [min(num, records), size, size, 3].

        As training saw them (box, resizing), but the middle instead of a random crop, not mirrored.
        """
        records = (self._source[int(i)] for i in self._order[:num])
        return np.stack([self._transform(r["image"], r.get("bbox"), None) for r in records])

    def _texts(self, key: str, num: int) -> list:
        texts = []
        for i in range(num):
            record = self._source[int(self._order[i % len(self)])]
            choices = record.get(key)
            if choices is None or not len(choices):
                raise ValueError(
                    f"{self.title}, record {record['image/id']!r}: it has no {key}; give the "
                    "captions in a file (--captions_file)"
                )
            rng = np.random.default_rng((self._seed, i + 1))
            texts.append(choices[int(rng.integers(len(choices)))])
        return texts


def _open(options: DataOptions, split: str):
    trained = catalog.open_split(options.name, options.data_dir, options.split)
    if not split:
        splits = trained.info["splits"]
        split = next((name for name in SPLITS if name in splits), "")
        if not split:
            raise DataError(
                f"{options.name} has no split {' or '.join(SPLITS)}, only: {', '.join(splits)}; "
                "name the one to evaluate on with --split"
            )
    return catalog.open_split(options.name, options.data_dir, split)
