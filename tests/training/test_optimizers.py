"""Optimizers against recorded runs of Torch7 and against optax; schedules against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from t2i_jax.config import adam
from t2i_jax.training import parameter_groups
from t2i_jax.training.optimizers import make_direction, make_schedule, torch_adam


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


def tree(*names, value=1.0):
    """Nested parameters, ``{"g": {"a": [value, value]}}``, from slash-joined paths."""
    return unflatten_dict({name: jnp.full(2, value) for name in names}, sep="/")


def flat(tree):
    return flatten_dict(tree, sep="/")


def test_parts_are_clipped_on_their_own_before_the_whole():
    grads = tree("g/a", "g/b", "encoder/c", value=3.0)
    section = {"name": "sgd", "lr": 1.0, "clip": {"encoder": 0.25, "g/b": 100.0}}
    direction = make_direction(section)
    update, _ = direction.update(grads, direction.init(grads))
    alone, _ = optax.clip_by_global_norm(0.25).update(grads["encoder"], optax.EmptyState())
    np.testing.assert_allclose(update["encoder"]["c"], alone["c"], rtol=1e-6)
    np.testing.assert_array_equal(update["g"]["a"], grads["g"]["a"])
    np.testing.assert_array_equal(update["g"]["b"], grads["g"]["b"])

    both = make_direction({**section, "clip_norm": 1.0})
    got, _ = both.update(grads, both.init(grads))
    expected, _ = optax.clip_by_global_norm(1.0).update(update, optax.EmptyState())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, expected)


def test_a_group_is_optax_with_another_rate_and_a_frozen_one_has_no_state():
    """Against `optax.partition`, the step's ``p - lr * direction`` included."""
    params = tree("net/text/w", "net/image/head", "net/image/inception/a", "net/image/inception/b")
    section = adam(0.1, groups={"image/inception/*": 0.0, "image/inception/b": 0.5, "text": 2})
    ours = make_direction(section)
    theirs = optax.partition(
        {f: optax.adam(0.1 * f, b1=0.5) if f else optax.set_to_zero() for f in (0, 0.5, 1, 2)},
        {"net": {"text": {"w": 2}, "image": {"head": 1, "inception": {"a": 0, "b": 0.5}}}},
    )
    state, other, expected = ours.init(params), theirs.init(params), params
    start = params
    for scale in (1.0, -0.3, 2.0):
        grads = jax.tree.map(lambda p, scale=scale: scale * jnp.sin(p), params)
        direction, state = ours.update(grads, state, params)
        params = jax.tree.map(lambda p, u: p - 0.1 * u, params, direction)
        update, other = theirs.update(grads, other, expected)
        expected = optax.apply_updates(expected, update)
    for name, value in flat(expected).items():
        np.testing.assert_allclose(flat(params)[name], value, rtol=1e-5, err_msg=name)
    frozen = "net/image/inception/a"
    np.testing.assert_array_equal(flat(params)[frozen], flat(start)[frozen])
    assert set(flat(state.mu)) == set(flat(state.nu)) == set(flat(params)) - {frozen}
    assert set(flat(parameter_groups.trained(section["groups"], grads))) == set(flat(state.mu))


def test_frozen_gradients_are_in_no_norm():
    grads = {"g": {"a": jnp.full(1, 3.0), "b": jnp.full(1, 1000.0)}}
    section = {"name": "sgd", "lr": 1.0, "clip_norm": 1.0, "groups": {"g/b": 0.0}}
    direction = make_direction(section)
    update, _ = direction.update(grads, direction.init(grads))
    assert float(update["g"]["a"][0]) == pytest.approx(1.0)


def test_a_group_changes_no_state_but_that_of_frozen_parameters():
    params = tree("g/a", "d/b")
    plain = make_direction(adam(0.1)).init(params)
    everything = adam(0.1, groups={"g": 0.5}, clip={"d": 1.0}, clip_norm=1.0, reset_every="9 steps")
    other = make_direction(everything, 1, 1).init(params)
    assert jax.tree.structure(plain) == jax.tree.structure(other)
    assert isinstance(other, optax.ScaleByAdamState)


@pytest.mark.parametrize("field", ["clip", "groups"])
def test_a_pattern_that_matches_nothing_is_an_error(field):
    params = tree("net/image/inception/a", "net/text/w")
    near = make_direction(adam(0.1, **{field: {"image/incepton/*": 0.5}}))
    with pytest.raises(ValueError, match=f"{field}: 'image/incepton/.*near.*'image/inception'"):
        near.init(params)
    far = make_direction(adam(0.1, **{field: {"qqq": 0.5}}))
    with pytest.raises(ValueError, match="'qqq'.*begin with 'image', 'text'"):
        far.init(params)


@pytest.mark.parametrize("name, theirs", [("adam", optax.adam), ("torch_adam", None)])
def test_adam_starts_anew(name, theirs):
    """Two epochs of 3 steps, two updates a step: two new optimizers of 6 updates each."""
    params, section = jnp.ones(3), adam(1.0, name=name, reset_every="1 epochs")
    ours = make_direction(section, batch=10, records=30, updates=2)
    theirs = theirs(1.0, b1=0.5) if theirs else torch_adam(1.0, 0.5, 0.999, 1e-8)
    state = ours.init(params)
    for t in range(12):
        if t % 6 == 0:
            other = theirs.init(params)
        grads = jnp.asarray([1e-3, 0.5, -2.0]) * (1 + jnp.sin(float(t)))
        update, state = ours.update(grads, state, params)
        expected, other = theirs.update(grads, other, params)
        np.testing.assert_allclose(-update, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "section, message",
    [
        ({"name": "adm"}, "did you mean 'adam'"),
        (
            {"name": "adam", "b1": 0.5, "ep": 1},
            "optimizer 'adam' has no field 'ep'; did you mean 'eps'",
        ),
        ({"name": "sgd", "reset_every": "1 epochs"}, "'sgd' has no moments"),
        ({"name": "adam", "groups": {"g": -1.0}}, "groups of 'g' is -1.0"),
        ({"name": "adam", "clip": {"g": -1.0}}, "clip of 'g' is -1.0"),
        ({"name": "adam", "clip_norm": -1.0}, "clip_norm is -1.0"),
    ],
)
def test_mistakes_are_named(section, message):
    with pytest.raises(ValueError, match=message):
        make_direction(section)


def at(text, step, lr=1.0, **fields):
    # 10 steps an epoch
    schedule = make_schedule({"lr": lr, "schedule": text, **fields}, batch=10, records=100)
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


@pytest.mark.parametrize(
    "schedule",
    [
        "multiply -1 every 1 steps",
        "multiply 1e30 every 1 steps",
        "multiply 1.5 every 1 epochs",
        "multiply e every 1 steps",
        "multiply nan every 1 steps",
        "linear to -1 over 5 steps",
        "cosine to 1e9 over 5 steps",
        "linear to - over 5 steps",
    ],
)
def test_schedules_that_train_uphill_or_without_end_are_refused(schedule):
    with pytest.raises(ValueError, match="schedule"):
        make_schedule({"lr": 1.0, "schedule": schedule}, 1, 1)


def test_a_floor():
    """DAMSM's: 0.98 an epoch, until the rate is a tenth of what it began with."""
    text = "multiply 0.98 every 1 epochs"
    got = [at(text, 10 * e, lr=2e-3, lr_floor=2e-4) for e in (0, 1, 113, 114, 500)]
    expected = [2e-3, 2e-3 * 0.98, 2e-3 * 0.98**113, 2e-4, 2e-4]
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="lr_floor=0.1: must be between 0 and lr=0.01"):
        at("constant", 0, lr=0.01, lr_floor=0.1)
