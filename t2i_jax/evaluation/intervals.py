"""How sure a share is."""

from scipy.stats import binomtest


def share(hits: int, count: int) -> dict:
    """``{"share": hits / count, "interval": [low, high], "n": count}``, None where nothing counts.

    The interval holds the true share with a probability of about 95 %: Wilson's score interval
    (1927), which also holds near 0 and 1 and for few trials.
    """
    if not count:
        return {"share": None, "interval": None, "n": 0}
    low, high = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    return {"share": hits / count, "interval": [float(low), float(high)], "n": count}
