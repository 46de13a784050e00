"""What a training says of options that presume classes or boxes."""

import re

import pytest

from t2i_jax.data import fallbacks
from t2i_jax.data.options import DataOptions

from .sources import MemorySource


def source(label, box=(5, 6, 20, 25)):
    made = MemorySource(6, label=label)
    for record in made.records:
        record["bbox"] = box
    return made


@pytest.mark.parametrize(
    ("label", "options", "notes"),
    [
        (lambda i: i, {}, []),
        (lambda i: i, {"sampling": "auto"}, ["class_balanced, for photos/train has 6 classes"]),
        (lambda i: -1, {"sampling": "auto"}, ["epoch, for photos/train has no classes"]),
        (lambda i: i - 2, {"sampling": "auto"}, ["epoch, for 2 of the 6 records have no class"]),
        (
            lambda i: 3,
            {"sampling": "auto"},
            ["epoch, for photos/train has 1 class", "of one class: .* as without classes"],
        ),
        (lambda i: 3, {}, ["of one class: .* as without classes"]),
        (lambda i: i, {"box_crop": True}, []),
    ],
)
def test_what_is_done_in_place_of_what_a_set_lacks(label, options, notes):
    found = fallbacks.notes(source(label), DataOptions(name="photos", **options))
    assert len(found) == len(notes)
    for note, expected in zip(found, notes, strict=True):
        assert re.search(expected, note)


def test_a_crop_around_boxes_that_nothing_has_is_told():
    (note,) = fallbacks.notes(source(lambda i: i, (0, 0, 0, 0)), DataOptions(box_crop=True))
    assert "none of the 6 records looked at has a box; images without one are taken whole" in note
