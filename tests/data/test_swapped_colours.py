"""Captions with colours in the wrong places, by hand and as a pipeline gives them."""

import numpy as np
import pytest

from t2i_jax.data.swapped_colours import swapped


def all_swaps(text: str) -> set[str]:
    return {swapped(text, np.random.default_rng(seed)) for seed in range(60)}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a red bird with black wings", {"a black bird with red wings"}),
        ("the bird is red with black wings", {"the bird is black with red wings"}),
        ("A Red bird, its beak is orange.", {"An Orange bird, its beak is red."}),
        ("an orange crown and a gray bill", {"a gray crown and an orange bill"}),
        # Of one thing: exchanging them would leave the caption true.
        (
            "a black and white bird with red eyes",
            {"a red and white bird with black eyes", "a black and red bird with white eyes"},
        ),
        # Of three, any two.
        (
            "red bird with blue wings and a black tail",
            {
                "blue bird with red wings and a black tail",
                "black bird with blue wings and a red tail",
                "red bird with black wings and a blue tail",
            },
        ),
        # A colour that stands twice is exchanged in one place.
        (
            "white wings, white tail and a brown head",
            {
                "brown wings, white tail and a white head",
                "white wings, brown tail and a white head",
            },
        ),
    ],
)
def test_two_colours_change_places(text, expected):
    assert all_swaps(text) == expected


@pytest.mark.parametrize("text", ["a grey bird with gray wings", "a yellow, dark green bird"])
def test_a_lone_colour_is_replaced_by_one_that_is_not_there(text):
    swaps = all_swaps(text)
    assert len(swaps) > 8
    for swap in swaps:
        old, new = text.replace(",", "").split(), swap.replace(",", "").split()
        changed = [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
        changed = [pair for pair in changed if pair[0] not in ("a", "an")]
        assert len(changed) == 1 and changed[0][1] not in text.replace("gray", "grey")


@pytest.mark.parametrize("text", ["a small bird", "", "a redhead in a tangle", "a reddish crown"])
def test_captions_without_colours_stay(text):
    assert all_swaps(text) == {text}


def test_it_is_a_function_of_the_seed():
    text = "a red bird with blue wings, a black tail and a yellow beak"
    runs = [
        [swapped(text, rng) for _ in range(8)]
        for rng in (np.random.default_rng(3), np.random.default_rng(3))
    ]
    assert runs[0] == runs[1] and len(set(runs[0])) > 2
