"""Mean and covariance of features in one pass, merged across hosts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from t2i_jax.evaluation.metrics.rows import finite


class Moments:
    """Count, mean and centred second moment of all the features so far, in float64.

    Parts are joined by the rule of Chan, Golub and LeVeque (1979): no sum of squares loses the
    digits of a small variance beside a large mean.

    count: rows so far. mean: [D]. scatter: [D, D], the sum of outer products of the rows less their
    mean.
    """

    def __init__(self, width: int):
        self.count = 0
        self.mean = np.zeros(width)
        self.scatter = np.zeros((width, width))

    def add(self, features: Any) -> None:
        """Takes features [N, D] of any kind of float, bfloat16 too.

        Raises ValueError for another width, and for NaN or infinity, naming the row by its place
        among all that were given; then nothing of them is taken.
        """
        x = finite(features, "features", self.count)
        if x.shape[1] != len(self.mean):
            raise ValueError(f"features have {x.shape[1]} numbers a row, not {len(self.mean)}")
        if len(x):
            mean = x.mean(axis=0)
            x -= mean
            self._join(len(x), mean, x.T @ x)

    def merge(self, other: "Moments") -> None:
        """Takes all that another one has seen, as if it had been given here."""
        if len(other.mean) != len(self.mean):
            raise ValueError(f"moments of {len(other.mean)} and {len(self.mean)} numbers a row")
        if other.count:
            self._join(other.count, other.mean, other.scatter)

    def _join(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        total = self.count + count
        apart = mean - self.mean
        self.scatter += scatter
        self.scatter += np.outer(apart, apart * (self.count / total * count))
        self.mean = self.mean + apart * (count / total)
        self.count = total

    def covariance(self) -> np.ndarray:
        """[D, D], the scatter over n - 1. Raises ValueError for fewer than two rows."""
        if self.count < 2:
            raise ValueError(f"a covariance needs two rows at least, not {self.count}")
        return self.scatter / (self.count - 1)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, as ``np.savez(path, **moments.arrays())`` writes it."""
        return {"count": np.array(self.count), "mean": self.mean, "scatter": self.scatter}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Moments":
        """What `arrays` gave. Raises ValueError where the arrays are none of its making."""
        missing = {"count", "mean", "scatter"} - set(arrays)
        if missing:
            raise ValueError(f"moments without {', '.join(sorted(missing))}")
        count, mean, scatter = (np.asarray(arrays[k]) for k in ("count", "mean", "scatter"))
        fits = count.shape == () and mean.ndim == 1 and scatter.shape == 2 * mean.shape
        if not fits or not (np.isfinite(mean).all() and np.isfinite(scatter).all()):
            raise ValueError(
                f"moments with a count of shape {count.shape}, a mean of {mean.shape} and a "
                f"scatter of {scatter.shape}, or with numbers that are not finite"
            )
        made = cls(len(mean))
        made.count = int(count)
        made.mean, made.scatter = mean.astype(np.float64), scatter.astype(np.float64)
        return made
