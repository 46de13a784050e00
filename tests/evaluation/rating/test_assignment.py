"""Raters see every caption, nothing of whose image is whose, and some captions twice."""

import collections

import pytest

from t2i_jax.evaluation.rating.assignment import assign, usual_repeats


@pytest.mark.parametrize("captions, runs", [(50, 2), (31, 3), (3, 9), (1, 2)])
def test_every_caption_once_with_every_run_and_repeats_reversed(captions, runs):
    repeats = usual_repeats(captions)
    items = assign(captions, runs, repeats, seed=4)
    firsts = [item for item in items if item.repeats is None]
    assert sorted(item.caption for item in firsts) == list(range(captions))
    assert all(sorted(item.runs) == list(range(runs)) for item in items)
    assert len(items) == captions + repeats
    again = [(place, item) for place, item in enumerate(items) if item.repeats is not None]
    assert len({item.repeats for _, item in again}) == repeats
    for place, item in again:
        first = items[item.repeats]
        assert first.repeats is None and first.caption == item.caption
        assert item.runs == first.runs[::-1]
        assert place - item.repeats > captions // 6 or captions == 3


def test_the_order_comes_from_the_seed_alone():
    assert assign(40, 2, 4, seed=1) == assign(40, 2, 4, seed=1) != assign(40, 2, 4, seed=2)


def test_each_side_is_as_likely_for_each_run():
    left = collections.Counter(item.runs[0] for item in assign(3000, 3, 0, seed=0))
    assert all(abs(n - 1000) < 100 for n in left.values())  # 4 deviations


def test_repeats_that_cannot_be():
    assert [usual_repeats(n) for n in (1, 2, 3, 19, 50)] == [0, 0, 1, 1, 5]
    with pytest.raises(ValueError, match="repeats=4: of 10 captions 0 to 3 can be"):
        assign(10, 2, 4, seed=0)
