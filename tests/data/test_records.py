"""Checking captions, boxes and vectors; every repair has a reason and a place."""

import pathlib

import numpy as np
import pytest

from t2i_jax.data import records
from t2i_jax.data.records import Raw

from .disk_sources import jpeg, write


def reasons(problems):
    return [(p.action, p.item, p.reason, p.where) for p in problems]


@pytest.mark.parametrize(
    ("line", "text", "problem"),
    [
        ("  a  red\tbird . ", "a red bird .", None),
        ("a bird\nwith wings\r\n", "a bird with wings", ("repaired", "line break inside")),
        ("bird\ufffd\ufffds wing", "bird s wing", ("repaired", "broken character (U+FFFD)")),
        ("{}", None, ("skipped", "placeholder {}")),
        ("", None, ("skipped", "empty")),
        (" \n ", None, ("skipped", "empty")),
        ("\ufffd", None, ("repaired", "broken character (U+FFFD)")),
        ("...", None, ("skipped", "no word")),
        ("\u7ea2\u9e1f", "\u7ea2\u9e1f", None),
        ("a red bird \ud83d", "a red bird", ("repaired", "broken character (U+FFFD)")),
        ("\udc26 a bird", "a bird", ("repaired", "broken character (U+FFFD)")),
        ("a bird \ud83d\udc26", "a bird \U0001f426", None),  # both halves of one character
        ("a\x00red\x1bbird", "a red bird", ("repaired", "control character")),
        ("a red\x85\u2028bird", "a red bird", None),
    ],
)
def test_captions(line, text, problem):
    problems = []
    kept, captions = records.clean_captions(["first", line], "x.txt", problems)
    assert captions == ["first"] + ([text] if text else [])
    assert kept == ([0, 1] if text else [0])
    if problem:
        assert reasons(problems)[0] == (problem[0], "caption", problem[1], "x.txt:2")
    else:
        assert not problems


@pytest.mark.parametrize(
    ("box", "expected", "reason"),
    [
        ((1, 2, 10, 20), (1, 2, 10, 20), None),
        ((0, 0, 40.6, 30.5), (0, 0, 40.6, 30.5), None),  # published boxes are rounded
        ((-5, -5, 20, 20), (0, 0, 15, 15), "partly outside the image: cut"),
        ((30, 20, 20, 20), (30, 20, 10, 10), "partly outside the image: cut"),
        ((50, 5, 10, 10), None, "outside the image: left out"),
        ((5, 5, 0, 10), None, "no area: left out"),
        ((5, 5, -3, 10), None, "no area: left out"),
        ((float("nan"), 5, 3, 10), None, "no area: left out"),
    ],
)
def test_boxes(box, expected, reason):
    problems = []
    assert records.check_box(box, 40, 30, "x", problems) == expected
    assert [p.reason for p in problems] == ([reason] if reason else [])


def raw(image=None, **fields) -> Raw:
    fields = {"captions": ["a bird"]} | fields
    return Raw(id="1", filename="1.jpg", image=image or jpeg(100, 80), **fields)


def test_box_follows_the_stored_size():
    record, problems = records.check(raw(box=(10, 20, 80, 40)), max_side=40)
    assert not problems
    np.testing.assert_allclose(record["bbox"], [5, 10, 40, 20])
    assert record["bbox"].dtype == np.float32


def test_vectors_stay_aligned_with_the_captions_that_remain():
    vectors = np.arange(12, dtype=np.float64).reshape(3, 4)
    record, _ = records.check(raw(captions=["a", "{}", "b"], embeddings=vectors), embeddings=True)
    assert record["captions"] == ["a", "b"]
    np.testing.assert_array_equal(record["embeddings"], vectors[[0, 2]].astype(np.float32))
    for given, reason in (
        (vectors[:2], "sentence vectors are not one a caption"),
        (None, "sentence vectors missing"),
        (pathlib.Path("missing.t7"), "sentence vectors missing"),
    ):
        record, problems = records.check(
            raw(captions=["a", "b", "c"], embeddings=given), embeddings=True
        )
        assert record is None and problems[-1].reason == reason


def test_torch7_vectors(golden_dir, tmp_path):
    path = golden_dir / "t7_samples" / "image_record.t7"
    with np.load(golden_dir / "t7_samples" / "expected.npz") as expected:
        reference = expected["image_record/txt"]
    captions = [f"caption {i}" for i in range(len(reference))]
    record, _ = records.check(raw(captions=captions, embeddings=path), embeddings=True)
    np.testing.assert_array_equal(record["embeddings"], reference)
    damaged = write(tmp_path / "x.t7", path.read_bytes()[:99])
    record, problems = records.check(raw(embeddings=damaged), embeddings=True)
    assert record is None and problems[-1].reason == "sentence vectors unreadable"


def test_what_is_missing_is_skipped_with_a_reason(tmp_path):
    here = write(tmp_path / "1.jpg", jpeg())
    for given, reason in (
        (raw(image=tmp_path / "2.jpg"), "image file missing"),
        (raw(image=here, captions=tmp_path / "1.txt"), "caption file missing"),
        (raw(image=here, captions=["{}", " "]), "no caption"),
        (raw(image=b"nonsense"), "not an image"),
    ):
        record, problems = records.check(given)
        assert record is None and problems[-1].reason == reason
    record, _ = records.check(raw(image=here, captions=()), need_captions=False)
    assert record["captions"] == [] and record["image"] == jpeg()
