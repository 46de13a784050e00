"""How well images show what their captions state, from what was read of them. NumPy on the host."""

from collections.abc import Sequence

import numpy as np

from t2i_jax.data.toy_birds import ATTRIBUTES
from t2i_jax.evaluation.intervals import share

COLOURED = ("body", "wing", "breast", "crown", "beak")
_CONFUSIONS = 5  # of the commonest that are listed

Facts = Sequence[dict[str, int]]  # what each caption states: attribute -> value


def stated(name: str, facts: Facts) -> tuple[np.ndarray, np.ndarray]:
    """(rows whose captions state the attribute, the values that they state): int [M] each."""
    rows = [i for i, fact in enumerate(facts) if name in fact]
    return np.array(rows, int), np.array([facts[i][name] for i in rows], int)


def confusion(name: str, facts: Facts, read: np.ndarray) -> np.ndarray:
    """Counts [values, values]: rows by the stated value, columns by the one read. read: int [N]."""
    rows, truth = stated(name, facts)
    counts = np.zeros((len(ATTRIBUTES[name]),) * 2, int)
    np.add.at(counts, (truth, read[rows]), 1)
    return counts


def accuracy(counts: np.ndarray) -> dict:
    """``share`` with ``interval`` and ``n`` of a table of counts; ``chance``: the same share when
    the readings are dealt to each other's captions, its mean over all pairs of two rows.
    """
    hits, n = int(np.trace(counts)), int(counts.sum())
    pairs = int(counts.sum(axis=1) @ counts.sum(axis=0))
    chance = (pairs - hits) / (n * (n - 1)) if n > 1 else None
    return {**share(hits, n), "chance": chance}


def read_instead(name: str, counts: np.ndarray) -> list[dict]:
    """The commonest mistakes: what was stated, what was read, and in which share of the images that
    should show the stated value.
    """
    names, totals = ATTRIBUTES[name], counts.sum(axis=1)
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSIONS]
    places = [divmod(int(i), len(names)) for i in order]
    return [
        {"stated": names[i], "read": names[j], "share": float(wrong[i, j] / totals[i])}
        for i, j in places
        if wrong[i, j]
    ]


def _colour(name: str, value: int) -> str:
    """The name of a part's colour: parts have different lists of them."""
    return ATTRIBUTES[name][value]


def misbound(name: str, facts: Facts, read: np.ndarray) -> dict:
    """How often a part has the colour that its caption gives to another part: the share of captions
    that state its colour and another part's other one, with ``interval`` and ``n``.
    """
    hits = count = 0
    for fact, value in zip(facts, read.tolist(), strict=True):
        if name not in fact:
            continue
        own = _colour(name, fact[name])
        others = {_colour(p, fact[p]) for p in COLOURED if p in fact and p != name} - {own}
        # A beak cannot have most of the colours that other parts have.
        others &= set(ATTRIBUTES[name])
        count += bool(others)
        hits += _colour(name, value) in others
    return share(hits, count)


def all_colours(facts: Facts, readings: dict[str, np.ndarray]) -> dict:
    """How often every colour that a caption states is right, of the attributes that are read; by
    how many it states in ``by_count``.
    """
    hits, totals = np.zeros(len(COLOURED) + 1, int), np.zeros(len(COLOURED) + 1, int)
    for i, fact in enumerate(facts):
        parts = [name for name in COLOURED if name in fact and name in readings]
        totals[len(parts)] += 1
        hits[len(parts)] += all(readings[name][i] == fact[name] for name in parts)
    by_count = {k: share(int(hits[k]), int(totals[k])) for k in range(1, 6) if totals[k]}
    return {**share(int(hits[1:].sum()), int(totals[1:].sum())), "by_count": by_count}
