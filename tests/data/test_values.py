"""Values as other programs write them mean what they plainly mean."""

import math

import numpy as np
import pytest

from t2i_jax.data import values


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (1, 1),
        (1.0, 1),
        ("1", 1),
        (" 1 ", 1),
        ("1.0", 1),
        ("1.", 1),
        (-3, -3),
        ("007", 7),
        (np.int64(4), 4),
        (np.float32(4), 4),
        (10**399, 10**399),
        ("1" * 400, int("1" * 400)),
        (True, None),
        (1.5, None),
        ("1.5", None),
        ("one", None),
        ("", None),
        ("\u00b2", None),
        (None, None),
        (math.nan, None),
        (math.inf, None),
        ([1], None),
        ("9" * 100_000, None),
    ],
)
def test_whole_numbers(value, meant):
    assert values.whole_number(value) == meant


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (1, 1.0),
        (1.5, 1.5),
        ("1.5", 1.5),
        ("1e2", 100.0),
        (10**399, None),
        ("1" * 400, None),
        ("nan", None),
        (math.inf, None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_numbers(value, meant):
    assert values.number(value) == meant


@pytest.mark.parametrize("value", [None, math.nan, "", "  ", "\t\n"])
def test_what_stands_for_nothing(value):
    assert values.is_nothing(value)


@pytest.mark.parametrize("value", [0, 0.0, "0", False, [], "nan"])
def test_what_is_something(value):
    assert not values.is_nothing(value)
