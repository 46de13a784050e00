"""What is said where a value is none of a few, or no whole number."""

import numpy as np
import pytest

from t2i_jax.choices import check_choice, check_whole


def test_other_values_are_refused_with_the_field_and_all_choices():
    for choices in (("", "mean", 3), {"": 1, "mean": 2, 3: 4}, iter(["", "mean", 3])):
        with pytest.raises(ValueError) as error:
            check_choice("encoder.pooling", "max", choices)
        assert str(error.value) == "encoder.pooling must be one of '', 'mean', 3, got 'max'"
    for value in ("", "mean", 3):
        check_choice("encoder.pooling", value, ("", "mean", 3))


def test_whole_numbers_are_pythons_and_numpys():
    for value in (2, np.int64(5), np.uint8(2)):
        check_whole("num", value, 2)
    for value in (1, 2.0, "2", None, True, np.float32(2)):
        with pytest.raises(ValueError, match="num=.*: must be a whole number of at least 2"):
            check_whole("num", value, 2)
