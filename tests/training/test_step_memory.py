"""What a step holds: updates in place of the old values, and not what is computed again."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from train_commands import SPEC

from t2i_jax import axis, in_order
from t2i_jax import config as configs
from t2i_jax.profiling import step_time
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.terms import Terms
from t2i_jax.training import fields, loop, parallel, recomputed
from t2i_jax.training.optimizers import make_direction, make_schedule
from t2i_jax.training.step import StepOptions, init_state, make_step

pytestmark = pytest.mark.usefixtures("one_device")

WIDTH = 256
LAYER = 4 * WIDTH**2  # bytes


class Dense(nn.Module):
    """Layers as large as all maps of a batch are small."""

    layers: int

    @nn.compact
    def __call__(self, x):
        for _ in range(self.layers):
            x = nn.tanh(nn.Dense(WIDTH, use_bias=False)(x))
        return x


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseGan(GanRecipe):
    """The hinge loss on means."""

    def init(self, key, seen):
        x = jnp.zeros((1, WIDTH))
        return {"g": self.generator.init(key, x), "d": self.discriminator.init(key, x)}

    def noise(self, key, rows):
        return {"z": axis.normal(key, (rows, WIDTH), self.axis_name)}

    def generate(self, g_vars, seen, noise, train):
        return {"images": (self.generator.apply(g_vars, noise["z"]),)}, {}

    def score(self, d_vars, x):
        return jnp.mean(self.discriminator.apply(d_vars, x), axis=-1)

    def d_terms(self, d_vars, seen, out, key):
        real = self.score(d_vars, seen.of("images").reshape(2, WIDTH))
        fake = self.score(d_vars, out["images"][0])
        return Terms({"real": jnp.mean(nn.relu(1 - real)), "fake": jnp.mean(nn.relu(1 + fake))})

    def g_terms(self, d_vars, seen, out, key, fakes=None):
        return Terms({"fake": -jnp.mean(self.score(d_vars, out["images"][0]))})


@pytest.mark.parametrize("optimizer", ["adam", "torch_adam", "rmsprop"])
def test_an_update_takes_the_place_of_the_old_values(optimizer):
    """Beside the state a step holds the gradients of one player, and none of the old parameters or
    moments, of which D has as many layers as G.
    """
    layers, weights = 6, {"d.real": 1.0, "d.fake": 1.0, "g.fake": 1.0}
    section = {"name": optimizer, "lr": 1e-3}
    settings = StepOptions(
        weights=weights,
        directions={p: make_direction(section) for p in "gd"},
        schedules={p: make_schedule(section, 1, 1) for p in "gd"},
    )
    net = Dense(layers)
    recipe = DenseGan(generator=net, discriminator=net, active=frozenset(weights))
    batch = {"images": np.zeros((1, 2, WIDTH, 1, 1), np.uint8)}
    state = init_state(recipe, settings, {k: v[0] for k, v in batch.items()}, {})
    one = parallel.JitParallel()
    compiled = one.compile(make_step(recipe, settings), state, one.put_batch(batch), {})
    memory = compiled.call.memory_analysis()
    assert memory.alias_size_in_bytes >= sum(x.nbytes for x in jax.tree.leaves(state))
    assert memory.temp_size_in_bytes < (layers + 3) * LAYER


def test_what_is_in_order_stays_in_order_on_cpus_alone():
    def step(x, y):
        x, y = in_order.together((jnp.sin(x), jnp.cos(y)))
        return x * y

    lowered = jax.jit(step).lower(1.0, 2.0)
    kept = parallel.Lowered(lowered).compile().call.as_text()
    assert "opt-barrier" in kept and "opt-barrier" not in lowered.compile().as_text()
    elsewhere = jax.jit(step).trace(1.0, 2.0).lower(lowering_platforms=("tpu",))
    assert "optimization_barrier" in lowered.as_text()
    assert "optimization_barrier" not in elsewhere.as_text()
    assert step(1.0, 2.0) == pytest.approx(np.sin(1.0) * np.cos(2.0))
    second = jax.grad(jax.grad(step))(1.0, 2.0)
    assert second == pytest.approx(-np.sin(1.0) * np.cos(2.0))


def test_an_option_of_the_environment_is_kept(monkeypatch):
    lowered = jax.jit(lambda x: in_order.together(jnp.sin(x)) + 1).lower(1.0)
    assert "opt-barrier" in parallel.Lowered(lowered).compile().call.as_text()
    monkeypatch.setenv("XLA_FLAGS", "--xla_disable_hlo_passes=")
    assert "opt-barrier" not in parallel.Lowered(lowered).compile().call.as_text()


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch):
    options = parallel.compiler_options()
    monkeypatch.setattr(parallel, "compiler_options", lambda: {"xla_of_the_past": 1, **options})
    lowered = jax.jit(lambda x: in_order.together(jnp.sin(x)) + 1).lower(1.0)
    with pytest.warns(UserWarning, match="no compiler option 'xla_of_the_past'"):
        compiled = parallel.Lowered(lowered).compile()
    assert "opt-barrier" in compiled.call.as_text()  # the others hold


@pytest.fixture(scope="module")
def workload():
    config = fields.resolve("stack_gan_v1:debug", {"data.data_dir": "nowhere"}).config
    config.encoder.source = "random"
    return step_time.make_workload(config)


@pytest.fixture(scope="module")
def one_step(workload):
    """By form: the parameters and metrics after a step."""

    def run(form):
        options = dataclasses.replace(workload.options, remat=form)
        system = workload.system
        state = init_state(system.recipe, options, workload.batch, system.variables)
        batch = {k: np.stack([v]) for k, v in workload.batch.items()}
        step = jax.jit(make_step(system.recipe, options))
        state, metrics = step(state, batch, system.in_step(system.variables))
        return jax.device_get((state.params, metrics))

    return {form: run(form) for form in recomputed.FORMS}


@pytest.mark.parametrize("form", ["elementwise", "all"])
def test_recomputing_changes_no_number(one_step, form):
    def check(found, wanted):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)

    jax.tree.map(check, one_step[form], one_step["none"])


def test_what_is_recomputed_is_not_held(workload):
    system = workload.system
    variables = jax.eval_shape(
        lambda: init_state(system.recipe, workload.options, workload.batch, system.variables)
    )

    def held(form):
        def pull(state):
            options = dataclasses.replace(workload.options, remat=form)
            step = make_step(system.recipe, options)
            batch = {k: jnp.asarray(v) for k, v in workload.batch.items()}
            noise = system.recipe.noise(jax.random.key(0), len(batch["images"]))
            forward = recomputed.recomputing(
                lambda g: step.generate(
                    {"g": g}, state.stats["g"], batch, system.in_step(system.variables), noise
                ),
                form,
            )
            return jax.vjp(forward, state.params["g"], has_aux=True)[1]

        return sum(x.size for x in jax.tree.leaves(jax.eval_shape(pull, variables)))

    assert held("all") < held("elementwise") < 0.8 * held("none")


def test_an_unknown_form_is_refused(data_dir, tmp_path):
    config = configs.override(configs.load(SPEC), [f"data.data_dir={data_dir}", "remat=some"])
    with pytest.raises(ValueError, match="remat must be one of 'none', 'elementwise', 'all'"):
        loop.train(config, tmp_path / "run")


def test_nothing_in_a_training_holds_what_a_step_gives_away(data_dir, tmp_path, monkeypatch):
    """A NumPy view of a donated array keeps its memory, and on CPUs the step then silently takes as
    much again. After a checkpoint it must: what is written meanwhile is the old state.
    """
    copied, compile_it = [], parallel.Lowered.compile

    def compile_and_watch(self):
        compiled = compile_it(self)

        def call(state, batch, frozen):
            size = len(jax.tree.leaves(state))
            before = {x.unsafe_buffer_pointer() for x in jax.tree.leaves(state)}
            state, metrics = jax.block_until_ready(compiled.call(state, batch, frozen))
            after = {x.unsafe_buffer_pointer() for x in jax.tree.leaves(state)}
            copied.append(len(after - before) / size)
            return state, metrics

        return dataclasses.replace(compiled, call=call)

    monkeypatch.setattr(parallel.Lowered, "compile", compile_and_watch)
    settings = "train.duration=9 steps", "train.log_every=2 steps", "train.sample_every=3 steps"
    config = configs.override(
        configs.load(SPEC),
        [f"data.data_dir={data_dir}", *settings, "train.checkpoint_every=5 steps"],
    )
    loop.train(config, tmp_path / "run")
    assert len(copied) == 9
    # The first state is NumPy's, of which XLA takes over what happens to be aligned.
    assert copied[1:5] == [0, 0, 0, 0] and copied[6:] == [0, 0, 0]
