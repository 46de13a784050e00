"""Who is shown what: the order of captions, and of runs' images beside each other."""

from typing import NamedTuple

import numpy as np

QUESTIONS = {
    "realism": "Which image looks more realistic?",
    "caption": "Which image fits the description better?",
}
RANKINGS = {
    "realism": "Which images look realistic? Choose them from the best to the worst.",
    "caption": "Which images fit the description? Choose them from the best to the worst.",
}


class Item(NamedTuple):
    """One screen. caption, runs: indices; the runs' images stand in that order from left to right.
    repeats: the place among the items of the one that it shows again, or None.
    """

    caption: int
    runs: tuple[int, ...]
    repeats: int | None = None


def usual_repeats(captions: int) -> int:
    """A tenth of the captions, at least one where there are three or more."""
    return max(captions // 10, int(captions >= 3))


def assign(captions: int, runs: int, repeats: int, seed: int) -> list[Item]:
    """All captions in random order, each with the runs in random order, then some once more with
    the runs the other way round: from the first third, shown again somewhere in the second half.

    Raises ValueError for more repeats than a third of the captions.
    """
    if not 0 <= repeats <= captions // 3:
        raise ValueError(
            f"repeats={repeats}: of {captions} captions 0 to {captions // 3} can be shown again"
        )
    rng = np.random.default_rng(seed)
    items = [
        Item(int(caption), tuple(rng.permutation(runs).tolist()))
        for caption in rng.permutation(captions)
    ]
    again = [
        Item(items[i].caption, items[i].runs[::-1], int(i))
        for i in rng.choice(captions // 3, repeats, replace=False)
    ]
    half = captions // 2
    later = items[half:] + again
    return items[:half] + [later[i] for i in rng.permutation(len(later))]
