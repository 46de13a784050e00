"""What is said where a field takes one of a few values."""

import pytest

from t2i_jax.choices import check_choice


def test_other_values_are_refused_with_the_field_and_all_choices():
    for choices in (("", "mean", 3), {"": 1, "mean": 2, 3: 4}, iter(["", "mean", 3])):
        with pytest.raises(ValueError) as error:
            check_choice("encoder.pooling", "max", choices)
        assert str(error.value) == "encoder.pooling must be one of '', 'mean', 3, got 'max'"
    for value in ("", "mean", 3):
        check_choice("encoder.pooling", value, ("", "mean", 3))
