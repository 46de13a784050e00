"""Optimizers against recorded runs of Torch7 and against optax; schedules against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from t2i_jax.config import adam
from t2i_jax.training.optimizers import make_direction, make_schedule


def test_adam_is_optax_adam():
    params, grads = jnp.ones(3), jnp.asarray([1e-3, 0.5, -2.0])
    ours, theirs = make_direction(adam(1.0, b1=0.5)), optax.adam(1.0, b1=0.5)
    state, other = ours.init(params), theirs.init(params)
    for _ in range(3):
        update, state = ours.update(grads, state, params)
        expected, other = theirs.update(grads, other, params)
        np.testing.assert_allclose(-update, expected, rtol=1e-6)


def test_clipping_bounds_the_gradient_norm():
    direction = make_direction({"name": "sgd", "lr": 1.0, "clip_norm": 0.5})
    grads = {"a": jnp.full(4, 3.0)}
    update, _ = direction.update(grads, direction.init(grads), grads)
    assert np.isclose(optax.tree.norm(update), 0.5)


@pytest.mark.parametrize(
    "section, message",
    [({"name": "adm"}, "did you mean 'adam'"), ({"name": "adam", "b3": 1}, "'b3'")],
)
def test_mistakes_are_named(section, message):
    with pytest.raises(ValueError, match=message):
        make_direction(section)


def at(text, step, lr=1.0):
    # 10 steps an epoch
    schedule = make_schedule({"lr": lr, "schedule": text}, batch=10, records=100)
    return float(jax.jit(schedule)(jnp.asarray(step)))


def test_halving_drops_where_reed_et_al_drop():
    """At the start of epochs 100, 200, ... counted from 1: after 99, 199, ... whole epochs."""
    text = "multiply 0.5 every 100 epochs from 99 epochs"
    got = [at(text, s) for s in (0, 989, 990, 1989, 1990, 5990)]
    assert got == [1.0, 1.0, 0.5, 0.5, 0.25, 0.5**6]
    assert [at("multiply 0.98 every 150 steps", s) for s in (149, 150)] == pytest.approx([1, 0.98])


def test_ramps():
    assert at("constant", 77, lr=3e-4) == pytest.approx(3e-4)
    assert at("linear to 0.1 over 10 epochs", 50) == pytest.approx(0.55)
    assert at("linear to 0.1 over 10 epochs", 500) == pytest.approx(0.1)
    assert at("cosine to 0 over 1000 images", 50) == pytest.approx(0.5, abs=1e-6)
    with pytest.raises(ValueError, match="cannot read the schedule"):
        make_schedule({"lr": 1.0, "schedule": "sometimes"}, 1, 1)
