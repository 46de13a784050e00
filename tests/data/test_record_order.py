"""Which records make a batch: exact shuffles, uniform classes and partners."""

import numpy as np
import pytest
from scipy import stats

from t2i_jax.data import record_order

LABELS = np.array([2, 0, 2, 2, 5, 0, 2, -1, -1, 5], np.int32)


def uniform(counts) -> bool:
    """Whether counts fit a uniform distribution (one in 10,000 fair ones does not)."""
    return stats.chisquare(counts).pvalue > 1e-4


def draws(function, count=6000):
    rng = np.random.default_rng(0)
    return np.array([function(rng) for _ in range(count)])


def test_partners_are_uniform_over_the_records_of_other_classes():
    classes = record_order.ClassIndex(LABELS)
    for record, label in enumerate(LABELS):
        counts = np.bincount(draws(lambda rng: classes.draw_other(record, rng)), minlength=10)  # noqa: B023
        allowed = LABELS != label if label >= 0 else np.arange(10) != record
        assert not counts[~allowed].any() and uniform(counts[allowed])


def test_pairs_are_uniform_over_classes_then_over_records():
    labels = LABELS[LABELS >= 0]
    classes = record_order.ClassIndex(labels)
    pairs = draws(classes.draw_pair)
    first, second = labels[pairs[:, 0]], labels[pairs[:, 1]]
    assert not np.any(first == second)
    kinds = np.unique(np.stack([first, second], 1), axis=0, return_counts=True)
    assert len(kinds[1]) == 6 and uniform(kinds[1])  # ordered pairs of three classes
    for side in pairs.T:
        for label in (0, 2, 5):
            members = np.flatnonzero(labels == label)
            assert uniform([np.sum(side == member) for member in members])


def test_records_without_a_class_are_counted_as_such():
    assert record_order.ClassIndex(LABELS).num_classes == 0  # not every record has one
    assert record_order.ClassIndex(LABELS[:7]).num_classes == 3
    assert record_order.ClassIndex(LABELS).all_have_others()
    assert record_order.ClassIndex(np.array([-1, -1])).all_have_others()
    assert not record_order.ClassIndex(np.array([3, 3])).all_have_others()


def test_every_permutation_is_as_likely():
    shuffle = record_order.Shuffle(3, 3, seed=11)
    orders = [tuple(shuffle[3 * n + i] for i in range(3)) for n in range(3000)]
    kinds, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(kinds) == 6 and uniform(counts)


def test_positions_may_be_asked_in_any_order():
    positions = np.random.default_rng(0).permutation(2000)
    forward = record_order.Shuffle(70, 16, seed=1)
    expected = [forward[int(i)] for i in range(2000)]
    jumping = record_order.Shuffle(70, 16, seed=1)
    assert [jumping[int(i)] for i in positions] == [expected[i] for i in positions]


def test_a_batch_holds_distinct_classes_evenly_drawn():
    labels = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 8, 9])
    classes = record_order.ClassIndex(labels)
    sampling = record_order.DistinctClasses(classes, 4, 2, False, "cub/train")
    rng = np.random.default_rng(0)
    picks = [sampling.draw(k, rng)[0] for k in range(12_000)]
    rows = labels[picks].reshape(-1, 4)
    assert all(len(set(row)) == 4 for row in rows)
    assert all(uniform(np.bincount(column, minlength=9)) for column in rows.T)


@pytest.mark.parametrize(
    ("rule", "labels", "message"),
    [
        ("class_balanced", [-1, -1], "needs a class for every record"),
        ("class_balanced", [1, 1], "two classes"),
        ("distinct_classes", [0, 1, 1], "batch=3.*2 classes"),
        ("epoch", [1, 1], "two classes"),
    ],
)
def test_impossible_samplings_are_refused(rule, labels, message):
    classes = record_order.ClassIndex(np.array(labels))
    with pytest.raises(ValueError, match=message):
        record_order.SAMPLINGS[rule](classes, 3, 0, True, "cub/train")


@pytest.mark.parametrize(
    ("labels", "chosen"),
    [
        ([0, 1, 1], "class_balanced"),
        ([-1, -1, -1], "epoch"),
        ([0, 1, -1], "epoch"),  # a record without a class would never be drawn
        ([4, 4, 4], "epoch"),
    ],
)
def test_sampling_that_is_left_open_goes_by_classes_where_there_are_some(labels, chosen):
    labels = np.array(labels)
    assert record_order.chosen("auto", labels) == chosen
    assert record_order.chosen("distinct_classes", labels) == "distinct_classes"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([2, 0, 2], [2, 0, 2]),
        ([-1, -1, -1], [0, 1, 2]),
        ([1, -1, 1, -1], [1, 3, 1, 5]),  # no number is a class's and a record's
        ([7, 7, 7], [0, 1, 2]),  # one class for all says nothing
    ],
)
def test_records_without_a_class_are_classes_of_their_own(labels, expected):
    assert record_order.identities(np.array(labels)).tolist() == expected


@pytest.mark.parametrize("rule", record_order.SAMPLINGS)
def test_partners_come_where_they_are_asked_for(rule):
    labels = np.repeat(np.arange(4), 3)
    classes = record_order.ClassIndex(labels)
    for partner in (True, False):
        sampling = record_order.SAMPLINGS[rule](classes, 4, 1, partner, "cub/train")
        pairs = [sampling.draw(k, np.random.default_rng(k)) for k in range(24)]
        assert all((other is not None) == partner for _, other in pairs)
        assert not partner or all(labels[record] != labels[other] for record, other in pairs)
