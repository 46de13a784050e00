"""Batches of rows, their images made in the places where they stay."""

import numpy as np

from t2i_jax.data.rows import Row, RowMaker


class BatchMaker:
    """Makes batch number n of the stream that is cut into batches of `rows` rows.

    seed: of the rows' generators. That of a position is Philox with the position in the highest
      word of its counter, which is Grain's rule for `random_map`: a stream that Grain never made a
      row of gives the same rows.

    A batch at a time costs less than Grain's own row by row: each of those has its own generator
    taken from a pool and its time recorded, and an image that `batch` copies.
    """

    def __init__(self, make_row: RowMaker, rows: int, seed: int):
        self._make_row, self._rows, self._seed = make_row, rows, seed

    def __call__(self, number: int) -> Row:
        """The batch. Raises ValueError, see `RowMaker`."""
        bits = np.random.Philox(self._seed)
        rng, fresh = np.random.Generator(bits), bits.state
        images = {
            key: np.empty((self._rows, *shape), np.uint8)
            for key, shape in self._make_row.image_shapes.items()
        }
        rows = []
        for i in range(self._rows):
            position = number * self._rows + i
            fresh["state"]["counter"] = np.array([0, 0, 0, position], np.uint64)
            bits.state = fresh
            rows.append(self._make_row(position, rng, {key: x[i] for key, x in images.items()}))
        return images | {key: np.stack([row[key] for row in rows]) for key in rows[0]}
