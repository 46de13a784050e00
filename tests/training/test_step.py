"""The generic step against a hand-written one, on a linear GAN whose gradients are closed forms."""

import dataclasses
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax import axis
from t2i_jax import config as configs
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.terms import Terms
from t2i_jax.training import build, modules
from t2i_jax.training.optimizers import make_direction, make_schedule
from t2i_jax.training.parallel import make_parallel
from t2i_jax.training.state import Ema
from t2i_jax.training.step import StepOptions, init_state, make_step

ROOT = pathlib.Path(__file__).resolve().parents[2]
LR, WEIGHT = 0.1, 0.5


class Scale(nn.Module):
    """x * a, one parameter."""

    @nn.compact
    def __call__(self, x):
        return x * self.param("a", nn.initializers.constant(2.0), ())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(GanRecipe):
    """G(z) = a z; D(x) = b mean(x). D: b m_real - b m_fake; G: b m_fake. A second D term: b^2."""

    def init(self, key, seen):
        image = jnp.zeros((1, 2, 2, 3))
        return {"g": self.generator.init(key, image), "d": self.discriminator.init(key, image)}

    def noise(self, key, rows):
        return {"z": axis.normal(key, (rows, 2, 2, 3), self.axis_name)}

    def generate(self, g_vars, seen, noise, train):
        return {"images": (self.generator.apply(g_vars, noise["z"]),)}, {}

    def d_terms(self, d_vars, seen, out, key):
        real = jnp.mean(self.discriminator.apply(d_vars, seen.of("images")))
        fake = jnp.mean(self.discriminator.apply(d_vars, out["images"][0]))
        return Terms({"real": real, "fake": -fake}, {"gap": real - fake}, fakes=fake)

    def penalty(self, d_vars, seen, out, key):
        on = self.on("d.penalty")
        return Terms({"penalty": d_vars["params"]["a"] ** 2} if on else {})

    @property
    def d_updates(self):
        return (self.d_terms, self.penalty)

    def g_terms(self, d_vars, seen, out, key, fakes=None):
        if fakes is None:
            fakes = jnp.mean(self.discriminator.apply(d_vars, out["images"][0]))
        return Terms({"fake": fakes})


def options(weights, **kwargs):
    section = {"name": "sgd", "lr": LR}
    return StepOptions(
        weights=weights,
        directions={p: make_direction(section) for p in "gd"},
        schedules={p: make_schedule(section, 1, 1) for p in "gd"},
        **kwargs,
    )


def run(weights, batch, steps=1, active=None, **kwargs):
    active = frozenset(weights) if active is None else active
    recipe = Linear(generator=Scale(), discriminator=Scale(), active=active)
    settings = options(weights, **kwargs)
    state = init_state(recipe, settings, {k: v[0] for k, v in batch.items()}, {})
    step = jax.jit(make_step(recipe, settings))
    history = []
    for _ in range(steps):
        state, metrics = step(state, batch, {})
        history.append({k: float(v) for k, v in metrics.items()})
    return recipe, state, history


def noise_mean(recipe, step=1, sub=0, last=True, rows=8):
    """The mean of the noise that the step draws, by its documented key."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), step), sub)
    noise_key = jax.random.split(key, 3 if last else 2)[0]
    return float(jnp.mean(recipe.noise(noise_key, rows)["z"]))


def make_batch(subs=1, rows=8):
    images = np.random.RandomState(0).randint(0, 256, (subs, rows, 2, 2, 3))
    return {"images": images.astype(np.uint8)}


WEIGHTS = {"d.real": 1.0, "d.fake": WEIGHT, "g.fake": 1.0}


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
def test_one_step_is_the_closed_form(order):
    batch = make_batch()
    recipe, state, (metrics,) = run(WEIGHTS, batch, order=order, ema=Ema(0.75))
    real = float(np.mean(batch["images"] / 127.5 - 1.0))
    z = noise_mean(recipe)
    b = 2.0 - LR * (real - WEIGHT * 2.0 * z)
    seen = b if order == "alternating" else 2.0
    a = 2.0 - LR * seen * z
    assert metrics["d/total"] == pytest.approx(2 * real - WEIGHT * 4 * z, abs=1e-5)
    assert metrics["g/fake"] == pytest.approx(seen * 2 * z, abs=1e-5)
    assert float(state.params["d"]["a"]) == pytest.approx(b, abs=1e-5)
    assert float(state.params["g"]["a"]) == pytest.approx(a, abs=1e-5)
    assert float(state.ema["params"]["g"]["a"]) == pytest.approx(0.75 * 2 + 0.25 * a, abs=1e-5)
    assert "d" not in state.ema["params"]


def adam(**kwargs):
    """Options with Adam, whose moments a restart must leave alone."""
    section = {"name": "adam", "lr": LR, "b1": 0.5, "b2": 0.999, "eps": 1e-8}
    directions = {p: make_direction(section) for p in "gd"}
    return dataclasses.replace(options(WEIGHTS, **kwargs), directions=directions)


def start(settings, batch):
    recipe = Linear(generator=Scale(), discriminator=Scale(), active=frozenset(WEIGHTS))
    return recipe, init_state(recipe, settings, {k: v[0] for k, v in batch.items()}, {})


def test_training_goes_on_from_the_average_every_so_many_steps():
    """The plain step with G's parameters put in by hand, between steps."""
    batch, settings = make_batch(), adam(ema=Ema(0.75))
    recipe, expected = start(settings, batch)
    plain = jax.jit(make_step(recipe, settings))
    restarting = jax.jit(
        make_step(recipe, dataclasses.replace(settings, ema=Ema(0.75, restart_every=2)))
    )
    state, average = expected, 2.0
    for number in range(1, 6):
        state, metrics = restarting(state, batch, {})
        expected, wanted = plain(expected, batch, {})
        trained = float(expected.params["g"]["a"])
        average = 0.75 * average + 0.25 * trained
        if number % 2 == 0:
            assert abs(average - trained) > 0.01
            expected = expected.replace(
                params={**expected.params, "g": {"a": jnp.float32(average)}}
            )
        assert float(state.ema["params"]["g"]["a"]) == pytest.approx(average, rel=1e-6)
        for ours, theirs in ((state, expected), (metrics, wanted)):
            assert jax.tree.structure(ours) == jax.tree.structure(theirs)
            jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5), ours, theirs)


def test_without_restarts_the_program_has_no_trace_of_them():
    batch = make_batch()

    def program(**kwargs):
        settings = adam(ema=Ema(0.75, **kwargs))
        recipe, state = start(settings, batch)
        return jax.jit(make_step(recipe, settings)).lower(state, batch, {}).as_text()

    never, sometimes = program(), program(restart_every=2)
    assert "stablehlo.remainder" in sometimes and "stablehlo.remainder" not in never
    assert sometimes.count("stablehlo.select") > never.count("stablehlo.select")


@pytest.mark.parametrize("kind", ["jit", "pmap"])
def test_restarts_are_the_same_on_four_devices(kind):
    batch, settings = make_batch(), options(WEIGHTS, ema=Ema(0.75, restart_every=2))
    recipe, state = start(settings, batch)
    step = jax.jit(make_step(recipe, settings))
    parallel = make_parallel(kind)
    spread, frozen = parallel.put_state(jax.device_get(state)), parallel.put_state({})
    compiled = parallel.compile(
        make_step(recipe, settings, parallel.axis_name), spread, parallel.put_batch(batch), frozen
    )
    for _ in range(3):
        state, _ = step(state, batch, {})
        spread, _ = compiled.call(spread, parallel.put_batch(batch), frozen)
        ours, theirs = parallel.whole(spread), jax.device_get(state)
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), ours, theirs)


def test_restarts_that_cannot_be_are_refused():
    def settings(file, **fields):
        config = configs.load(f"{ROOT}/configs/{file}:debug")
        configs.override(config, {f"ema.{name}": value for name, value in fields.items()})
        system = build.System(config, modules.make_recipe(config), None, None, {})
        return build.step_options(system, batch=8, records=64)

    assert settings("gan_int_cls.py").ema.restart_every == 0
    assert settings("gan_int_cls.py", restart_every=3).ema.restart_every == 3
    with pytest.raises(ValueError, match="restart_every=3 needs an average: set ema.decay or"):
        settings("gan_int_cls.py", restart_every=3, half_life="")
    with pytest.raises(ValueError, match="restart_every=-1: must be a number of steps"):
        settings("gan_int_cls.py", restart_every=-1)
    with pytest.raises(ValueError, match="is for generators, but 'char_cnn_rnn' trains none"):
        settings("char_cnn_rnn.py", restart_every=3)


def test_second_d_update_sees_the_first():
    batch = make_batch()
    recipe, state, _ = run({**WEIGHTS, "d.penalty": 1.0}, batch)
    real = float(np.mean(batch["images"] / 127.5 - 1.0))
    b = 2.0 - LR * (real - WEIGHT * 2.0 * noise_mean(recipe))
    assert float(state.params["d"]["a"]) == pytest.approx(b - LR * 2 * b, abs=1e-5)


def test_d_steps_update_d_on_each_sub_batch():
    batch = make_batch(subs=2)
    recipe, state, _ = run(WEIGHTS, batch, d_steps=2)
    b = 2.0
    for i in range(2):
        real = float(np.mean(batch["images"][i] / 127.5 - 1.0))
        b -= LR * (real - WEIGHT * 2.0 * noise_mean(recipe, sub=i, last=i == 1))
    a = 2.0 - LR * b * noise_mean(recipe, sub=1)
    assert float(state.params["d"]["a"]) == pytest.approx(b, abs=1e-5)
    assert float(state.params["g"]["a"]) == pytest.approx(a, abs=1e-5)


def test_an_update_without_terms_changes_nothing_of_the_optimizer():
    """With Adam, whose count would move; the second update of D has no weight."""
    batch, settings = make_batch(), adam()
    recipe, state = start(settings, batch)
    state, metrics = jax.jit(make_step(recipe, settings))(state, batch, {})
    counts = [int(x) for x in jax.tree.leaves(state.opt["d"]) if x.dtype == jnp.int32]
    assert counts == [1] and "d/grad_norm" in metrics and "d/grad_norm_1" not in metrics


def test_metrics_are_logged_and_not_optimized():
    batch = make_batch()
    recipe, _, (metrics,) = run(WEIGHTS, batch)
    real = float(np.mean(batch["images"] / 127.5 - 1.0))
    assert metrics["d/gap"] == pytest.approx(2 * real - 4 * noise_mean(recipe), abs=1e-5)


def test_the_players_share_a_pass_of_one_d_only():
    """In simultaneous order G's terms are given what D found, else they ask D themselves."""
    asked = []

    class Asking(Linear):
        def g_terms(self, d_vars, seen, out, key, fakes=None):
            asked.append(fakes is not None)
            return super().g_terms(d_vars, seen, out, key, fakes)

    recipe = Asking(generator=Scale(), discriminator=Scale(), active=frozenset(WEIGHTS))
    for order in ("alternating", "simultaneous"):
        settings, batch = options(WEIGHTS, order=order), make_batch()
        state = init_state(recipe, settings, {k: v[0] for k, v in batch.items()}, {})
        jax.eval_shape(make_step(recipe, settings), state, batch, {})
    assert asked == [False, True]


@pytest.mark.parametrize(
    "active, message",
    [
        ({"d.real", "d.fake", "g.fake", "d.extra"}, r"never computed: \['d.extra'\]"),
        ({"d.real", "g.fake"}, r"computed without a weight: \['d.fake'\]"),
    ],
)
def test_terms_must_be_the_weighted_ones(active, message):
    weights = {name: 1.0 for name in active}
    with pytest.raises(ValueError, match=message):
        run(weights, make_batch(), active=frozenset(active))


def test_a_key_that_the_data_lack_is_named():
    class Wrong(Linear):
        def d_terms(self, d_vars, seen, out, key):
            return Terms({"real": seen.of("wrong_images")})

    recipe = Wrong(generator=Scale(), discriminator=Scale(), active=frozenset(WEIGHTS))
    batch, settings = make_batch(), options(WEIGHTS)
    state = init_state(recipe, settings, {k: v[0] for k, v in batch.items()}, {})
    with pytest.raises(ValueError, match="set data.mismatch=image"):
        jax.eval_shape(make_step(recipe, settings), state, batch, {})


@pytest.mark.parametrize("kind", ["jit", "pmap"])
def test_gradients_are_those_of_the_global_batch(kind):
    """SGD steps on 4 devices equal those on one; summed gradients would not."""
    batch = make_batch()
    recipe, single, expected = run(WEIGHTS, batch, steps=2)
    settings = options(WEIGHTS)
    state = init_state(recipe, settings, {k: v[0] for k, v in batch.items()}, {})
    parallel = make_parallel(kind)
    state = parallel.put_state(jax.device_get(state))
    placed = parallel.put_batch(batch)
    frozen = parallel.put_state({})
    step = make_step(recipe, settings, parallel.axis_name)
    compiled = parallel.compile(step, state, placed, frozen)
    for wanted in expected:
        state, metrics = compiled.call(state, parallel.put_batch(batch), frozen)
        for name, value in parallel.scalars(metrics).items():
            assert value == pytest.approx(wanted[name], rel=1e-5, abs=1e-6), name
    ours, theirs = parallel.whole(state.params), jax.device_get(single.params)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), ours, theirs)
