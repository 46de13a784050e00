"""How sure a share or a mean is."""

import numpy as np
from scipy.stats import binomtest

_DRAWS = 2000
_SEED = 0


def share(hits: int, count: int) -> dict:
    """``{"share": hits / count, "interval": [low, high], "n": count}``, None where nothing counts.

    The interval holds the true share with a probability of about 95 %: Wilson's score interval
    (1927), which also holds near 0 and 1 and for few trials.
    """
    if not count:
        return {"share": None, "interval": None, "n": 0}
    low, high = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    return {"share": hits / count, "interval": [float(low), float(high)], "n": count}


def crossed(values: np.ndarray) -> list[tuple[float, float, float]]:
    """(mean, low, high) of each column of values [A, B, columns], NaN where there is none, of A
    raters and B items.

    The interval of about 95 % is that of the pigeonhole bootstrap (Owen, Annals of Applied
    Statistics 1(2), 2007): raters and items are both drawn anew, with replacement, so that it says
    what other raters and other items may give; with one rater, other items alone. The same each
    time.
    """
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    if not known.any():
        return [(float("nan"),) * 3] * values.shape[2]
    filled, known = np.where(known, values, 0.0), known.astype(np.float64)
    rng = np.random.default_rng(_SEED)
    counts = [rng.multinomial(n, np.full(n, 1 / n), _DRAWS) for n in values.shape[:2]]
    sums, numbers = (
        np.einsum("da,abc,db->dc", counts[0], part, counts[1], optimize=True)
        for part in (filled, known)
    )
    means = np.where(numbers > 0, sums, np.nan) / np.maximum(numbers, 1)
    low, high = np.nanpercentile(means, [2.5, 97.5], axis=0)
    mean = filled.sum(axis=(0, 1)) / known.sum(axis=(0, 1))
    return [tuple(map(float, column)) for column in zip(mean, low, high, strict=True)]
