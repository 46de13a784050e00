"""The average against closed forms, and against StyleGAN2-ADA's formula in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.training.state import Ema, TrainState


def networks(value):
    """(params, stats) of a G, a D and a jointly trained encoder of one number each."""
    leaf = lambda: {"w": jnp.full(1, value)}  # noqa: E731
    return {k: leaf() for k in ("g", "d", "encoder")}, {k: leaf() for k in ("g", "d")}


def run(ema, values, first=0.0):
    """The average after steps that leave the networks at `values`."""
    average = ema.init(*networks(first))
    for step, value in enumerate(values):
        average = ema.update(average, *networks(value), jnp.asarray(step))
    return jax.tree.map(float, jax.tree.map(jnp.squeeze, average))


def test_the_average_of_a_constant_is_a_geometric_series():
    got = run(Ema(0.9), [1.0] * 7)
    assert got["params"]["g"]["w"] == pytest.approx(1 - 0.9**7)
    assert got["stats"]["g"]["w"] == pytest.approx(1 - 0.9**7)
    assert set(got["params"]) == {"g", "encoder"} and set(got["stats"]) == {"g"}


def test_without_decay_it_is_the_last_weights():
    assert run(Ema(), [1.0, 5.0])["params"]["g"]["w"] == 5.0


@pytest.mark.parametrize("batch", [4, 32])
def test_the_ramp_is_that_of_stylegan(batch):
    """ema_nimg = min(ema_nimg, cur_nimg * rampup), beta = 0.5 ** (batch / max(ema_nimg, 1e-8))."""
    half_life, rampup = 20.0 * batch, 0.4  # images; reached after 50 steps
    values = np.cos(np.arange(80.0))
    expected = 1e6  # the random start, which the ramp forgets
    for step, value in enumerate(values):
        nimg = min(half_life, step * batch * rampup)
        beta = 0.5 ** (batch / max(nimg, 1e-8))
        expected = value + (expected - value) * beta
    ema = Ema(decay=0.5 ** (batch / half_life), ramp=rampup)
    got = run(ema, values, first=1e6)
    assert got["params"]["g"]["w"] == pytest.approx(expected, abs=1e-5)
    assert got["stats"]["g"]["w"] == pytest.approx(expected, abs=1e-5)


def test_live_statistics():
    got = run(Ema(0.5, statistics="live"), [2.0, 4.0])
    assert got["stats"]["g"]["w"] == 4.0
    assert got["params"]["g"]["w"] == 0.5 * 1.0 + 0.5 * 4.0


def test_a_kept_discriminator_is_not_averaged():
    got = run(Ema(0.5, kept=("d",)), [2.0, 4.0])
    assert got["params"]["d"]["w"] == got["stats"]["d"]["w"] == 4.0
    assert got["params"]["g"]["w"] == got["stats"]["g"]["w"] == 2.5
    with pytest.raises(ValueError, match="no network 'dd' to keep; did you mean 'd'"):
        Ema(kept=("dd",)).init(*networks(0.0))


def test_the_state_can_be_donated():
    """At its start, and after an update whose average repeats what is trained."""
    ema = Ema(statistics="live", kept=("d",))
    params, stats = networks(1.0)
    state = (params, stats, ema.init(params, stats))

    def step(state):
        params, stats, average = state
        params, stats = jax.tree.map(lambda x: x + 1, (params, stats))
        return params, stats, ema.update(average, params, stats, 0)

    jitted = jax.jit(step, donate_argnums=0)
    _, _, average = jitted(jitted(state))
    assert float(average["params"]["d"]["w"][0]) == 3.0
    assert all(x.is_deleted() for x in jax.tree.leaves(params))


def test_restart_puts_the_average_into_g():
    params, stats = networks(1.0)
    average = Ema().init(*networks(7.0))
    ema = Ema(0.5, restart_every=3)
    for step, expected in [(2, 1.0), (3, 7.0), (4, 1.0), (6, 7.0)]:
        state = TrainState(jnp.asarray(step), params, stats, {}, average)
        new = ema.restart(state)
        assert float(new.params["g"]["w"][0]) == expected
        assert float(new.params["encoder"]["w"][0]) == float(new.params["d"]["w"][0]) == 1.0
    assert Ema(0.5).restart(state) is state


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"decay": 1.0}, r"ema.decay=1.0: must be at least 0 and below 1"),
        ({"decay": 0.9, "ramp": -1.0}, "ema.ramp=-1.0"),
        ({"ramp": 0.05}, "ema.ramp=0.05 needs an average: set ema.decay or ema.half_life"),
        ({"restart_every": 5}, "ema.restart_every=5 needs an average"),
        ({"decay": 0.9, "restart_every": -1}, "ema.restart_every=-1: must be a number of steps"),
        ({"statistics": "averagd"}, "ema.statistics='averagd'; did you mean 'averaged'"),
    ],
)
def test_mistakes_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Ema(**fields)
