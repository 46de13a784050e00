"""Warnings of a training that comes apart."""

import pytest

from t2i_jax.training.divergence import ENOUGH, WON, Watch


def intervals(watch, rows):
    return [watch.look(row) for row in rows]


def steady(n, **more):
    """Gradient norms between 1 and 3, and losses around 0."""
    return [
        {"g/grad_norm": 1 + i % 3, "d/grad_norm": 2.0, "g/total": (-1) ** i * 0.01, **more}
        for i in range(n)
    ]


def test_a_steady_training_is_left_alone():
    assert not any(
        intervals(Watch(), steady(200, **{"d/accuracy_real": 1.0, "d/accuracy_fake": 0.9}))
    )


@pytest.mark.parametrize(
    "name, value, player", [("g/grad_norm", 100.0, "g"), ("d/grad_norm", 90.0, "d")]
)
def test_a_leap_is_said_once_with_its_ratio_and_remedy(name, value, player):
    watch = Watch()
    assert not any(intervals(watch, steady(40)))
    (text,) = watch.look({**steady(1)[0], name: value})
    ratio = round(value / 2)  # both medians are 2
    for part in (name, f"{value:.3g}", f"{ratio} times", f"optim.{player}.lr"):
        assert part in text
    assert watch.look({**steady(1)[0], name: value}) == []
    assert not watch.exploded
    watch.look(steady(1)[0])
    assert len(watch.look({**steady(1)[0], name: value})) == 1


def test_losses_are_compared_whatever_their_sign_and_not_near_zero():
    watch = Watch()
    intervals(watch, steady(40))
    assert watch.look({"g/total": 5.0}) == []  # 500 times as large as before, and still small
    (text,) = watch.look({"g/total": -2e4})
    assert "g/total is -2e+04, 20,000 times" in text and watch.exploded
    watch.look({"g/total": 0.0})
    assert not watch.exploded


def test_the_first_intervals_are_no_measure():
    watch = Watch()
    assert not any(intervals(watch, [{"g/grad_norm": 10.0**i} for i in range(ENOUGH)]))


def test_a_d_that_is_always_right():
    watch, row = (
        Watch(),
        {"d/accuracy_real": 1.0, "d/accuracy_fake": 0.998, "d/accuracy_wrong": 1.0},
    )
    said = intervals(watch, [row] * (2 * WON))
    assert [len(texts) for texts in said] == [0] * (WON - 1) + [1] + [0] * WON
    assert "right about every image" in said[WON - 1][0]
