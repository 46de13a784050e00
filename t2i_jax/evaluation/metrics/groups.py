"""Drawing rows of other groups: captions of another class, images of another style."""

import numpy as np


def of_others(
    groups: np.ndarray, rows: np.ndarray, count: int, random: np.random.Generator
) -> np.ndarray:
    """int [len(rows), count]: for each row, rows of any other group, uniform, with replacement.

    groups: of each row, integers [N].

    Raises ValueError where all rows are of one group.
    """
    order = np.argsort(groups, kind="stable")
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise ValueError(f"all {len(groups)} rows are of one class: there is no other to draw from")
    starts = np.cumsum(sizes) - sizes
    own = inverse[rows][:, None]
    drawn = random.integers(len(groups) - sizes[own], size=(len(rows), count))
    return order[drawn + np.where(drawn >= starts[own], sizes[own], 0)]
