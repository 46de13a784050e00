"""Failures come first, and only what is shown is drawn."""

import json

import numpy as np
import pytest

from t2i_jax.evaluation import failures

SCORES = np.array([0.5, -1.0, 3.0, 0.25, 3.0, 0.0])
CAPTIONS = [f"a bird of number {i}" for i in range(6)]


def images(indices):
    return np.stack([np.full((16, 16, 3), 40 * i + 20, np.uint8) for i in indices])


@pytest.mark.parametrize(
    "higher, worst, best",
    [(True, [1, 5, 3], [4, 2, 0]), (False, [2, 4, 0], [1, 5, 3])],
)
def test_the_worst_come_first_and_none_stands_on_both_sides(higher, worst, best):
    found = failures.ends(SCORES, higher, 24)
    assert [part.tolist() for part in found] == [worst, best]
    assert [part.tolist() for part in failures.ends(SCORES, higher, 2)] == [worst[:2], best[:2]]


def test_an_odd_one_is_a_failure():
    worst, best = failures.ends(np.arange(3.0), True, 9)
    assert worst.tolist() == [0, 1] and best.tolist() == [2]


def test_result_picture_and_text():
    asked = []

    def recorded(indices):
        asked.extend(indices)
        return images(indices)

    result, drawn, text = failures.evaluate(
        SCORES, CAPTIONS, recorded, "cosine", {"workdir": "run"}, shown=2
    )
    assert asked == [1, 5, 4, 2]
    assert result["worst"][0] == {"index": 1, "score": -1.0, "caption": CAPTIONS[1]}
    assert [row["index"] for row in result["best"]] == [4, 2]
    assert result["quantiles"]["0"] == -1 and result["quantiles"]["50"] == 0.375
    assert result["metric"] == "cosine" and result["workdir"] == "run"
    assert json.dumps(result, allow_nan=False)
    assert text.splitlines()[0] == "worst of 6 by cosine:" and len(text.splitlines()) == 3
    assert "-1  image 1: a bird of number 1" in text.splitlines()[1]
    levels = np.asarray(drawn["failures"])[..., 0]
    columns = [np.argwhere(levels == 40 * i + 20)[:, 1] for i in (1, 5, 4, 2)]
    assert [len(c) for c in columns] == pytest.approx([160**2] * 4, rel=0.05)
    middles = [float(np.median(c)) for c in columns]
    assert middles == sorted(middles), "the worst to the left, each end in its order"


def test_captions_are_shown_whole():
    """Ink grows with the caption: nothing is left out."""
    ink = []
    for words in (40, 80):
        _, drawn, _ = failures.evaluate(
            SCORES[:1], ["wing " * words], lambda i: 255 - images(i), "cosine", {}
        )
        ink.append(int((np.asarray(drawn["failures"])[..., 0] < 50).sum()))
    assert ink[1] > 1.7 * ink[0]


def test_what_is_wrong():
    with pytest.raises(ValueError, match="score of image 2 is nan"):
        failures.evaluate(np.array([1, 2, np.nan]), CAPTIONS[:3], images, "cosine", {})
    with pytest.raises(ValueError, match="6 scores and 5 captions"):
        failures.evaluate(SCORES, CAPTIONS[:5], images, "cosine", {})
    with pytest.raises(ValueError, match="0 scores"):
        failures.evaluate(np.array([]), [], images, "cosine", {})
