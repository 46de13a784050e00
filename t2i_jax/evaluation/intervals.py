"""How sure a share is."""

import math

_Z = 1.959964  # of 95 %


def share(hits: int, count: int) -> dict:
    """``{"share": hits / count, "interval": [low, high], "n": count}``, None where nothing counts.

    The interval holds the true share with a probability of about 95 %: Wilson's score interval
    (1927), which also holds near 0 and 1 and for few trials.
    """
    if not count:
        return {"share": None, "interval": None, "n": 0}
    p, n = hits / count, count
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return {"share": p, "interval": [max(0.0, middle - half), min(1.0, middle + half)], "n": n}
