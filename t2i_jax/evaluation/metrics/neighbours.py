"""How two sets of features cover each other, by balls around points that reach to the k-th nearest
neighbour in the point's own set: precision and recall (Kynkäänniemi et al., NeurIPS 2019, section
2), density and coverage (Naeem et al., ICML 2020, section 3).

Every decision is the one of exact distances. They come from products of vectors, which are ten
times as fast as differences; what lies so close to a ball's surface that rounding could decide, as
copies do, is computed again from differences.
"""

import hashlib
from typing import NamedTuple

import numpy as np

from t2i_jax.evaluation.metrics.rows import Rows, blocks, finite, same_width


class Neighbours(NamedTuple):
    """precision: share of the fake points in a ball of a real one. recall: share of the real points
    in a ball of a fake one. density: real balls around a fake point, over k, in the mean; above 1
    at times. coverage: share of the real balls with a fake point.

    real_copies, fake_copies: rows that equal an earlier row of their set.
    real_points, fake_points: balls of radius 0, of rows with k copies or more. Where they are many
        the four numbers mean little: nothing lies inside of a point.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    real_copies: int
    fake_copies: int
    real_points: int
    fake_points: int


def neighbours(
    *, real: Rows, fake: Rows, k: int = 3, closed: bool = True, block: int = 250
) -> Neighbours:
    """Of features [N, D] and [M, D].

    k: 3 for precision and recall, 5 for density and coverage, as published.
    closed: a ball holds its surface, as in the code of precision and recall; the code of density
        and coverage leaves it out.
    block: rows whose distances to all are in memory at a time; the result does not depend on it.

    Raises ValueError where a set has no k-th neighbour, for different widths, and for NaN or
    infinity, naming the row.
    """
    if not 1 <= k < min(len(real), len(fake)):
        raise ValueError(
            f"neighbours: sets of {len(real)} and {len(fake)} rows have no neighbour number {k}; "
            "more than k rows are needed in each"
        )
    sets = {"real": _Set(real, "real features", block), "fake": _Set(fake, "fake features", block)}
    same_width(sets["real"].first, sets["fake"].first, "neighbours")
    reach = {name: _radii(points, k) for name, points in sets.items()}
    held = np.less_equal if closed else np.less
    inside, covered = 0, np.zeros(len(real), bool)
    precise, recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for part, x in sets["fake"].parts():
        table = sets["real"].distances(x)
        in_real = held(sets["real"].settle(table, x, reach["real"]), reach["real"])
        inside += int(in_real.sum())
        precise[part] = in_real.any(axis=1)
        covered |= in_real.any(axis=0)
        own = reach["fake"][part, None]
        recalled |= held(sets["real"].settle(table, x, own), own).any(axis=0)
    return Neighbours(
        float(precise.mean()),
        float(recalled.mean()),
        inside / (k * len(fake)),
        float(covered.mean()),
        *(points.copies for points in sets.values()),
        *(int(np.sum(radii == 0)) for radii in reach.values()),
    )


class _Set:
    """A set of points and squared Euclidean distances to them."""

    def __init__(self, rows: Rows, what: str, block: int):
        self._rows, self._what, self._block = rows, what, block
        self._squares = np.empty(len(rows))
        seen = set()
        for part, x in self.parts():
            self._squares[part] = np.sum(x**2, axis=1)
            seen |= {hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in x + 0.0}
        self.copies = len(rows) - len(seen)
        self.first = finite(rows[:1], what)

    def parts(self):
        """(which rows, the rows in float64) of each block."""
        for part in blocks(len(self._rows), self._block):
            yield part, finite(self._rows[part], self._what, part.start)

    def distances(self, x: np.ndarray) -> np.ndarray:
        """From points [B, D] to all of the set, [B, N], but for rounding."""
        table = np.sum(x**2, axis=1)[:, None] + self._squares
        for part, y in self.parts():
            table[:, part] -= 2 * x @ y.T
        return table

    def settle(self, table: np.ndarray, x: np.ndarray, limit: np.ndarray) -> np.ndarray:
        """`distances` of `x` with exact ones wherever rounding could change the comparison with
        `limit`; changed in place.
        """
        largest = np.sum(x**2, axis=1).max() + self._squares.max()
        # More than twice the bound of the rounding of a sum of so many products.
        doubt = 8 * np.finfo(float).eps * x.shape[1] * largest
        near = np.abs(table - limit) <= doubt
        for i in np.flatnonzero(near.any(axis=1)):
            columns = np.flatnonzero(near[i])
            for part in blocks(len(columns), self._block):
                y = np.asarray(self._rows[columns[part]]).astype(np.float64)
                table[i, columns[part]] = np.sum((x[i] - y) ** 2, axis=1)
        return table


def _radii(points: _Set, k: int) -> np.ndarray:
    """Squared distances [N] of a set's points to the k-th nearest of the others."""
    radii = np.empty(len(points._rows))
    for part, x in points.parts():
        table = points.distances(x)
        table[np.arange(len(x)), np.arange(part.start, part.stop)] = np.inf
        about = np.partition(table, k - 1, axis=1)[:, k - 1, None]
        # All that could be the k-th is exact then, and the rest stays on its side of it.
        radii[part] = np.partition(points.settle(table, x, about), k - 1, axis=1)[:, k - 1]
    return radii
