"""Fresh variables: the same as of one compiled program, without it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.models.layers import BatchNorm, Conv
from t2i_jax.models.orthogonal import orthogonal
from t2i_jax.models.spectral_norm import SpectralConv
from t2i_jax.profiling import step_time
from t2i_jax.training import fields
from t2i_jax.training.fresh import Fresh
from t2i_jax.training.step import fresh_state, init_state

KEY = jax.random.key(0)
_COMPILED = "/jax/core/compile/backend_compile_duration"


class Layers(nn.Module):
    """A layer of many a kind."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = BatchNorm()(Conv(4, use_bias=True, kernel_init=orthogonal)(x), train=True)
        x = SpectralConv(4)(x, train=True)
        x = nn.RNN(nn.LSTMCell(3))(x[:, 0])
        return nn.Dense(2, kernel_init=nn.initializers.glorot_normal())(x)


def test_values_are_those_of_one_program():
    module, x = Layers(), jnp.zeros((1, 8, 8, 3))
    found = Fresh(module.init, KEY, x)
    wanted = jax.jit(module.init)(KEY, x)
    assert found.shapes == jax.eval_shape(module.init, KEY, x)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(found.values()))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found.values(), wanted
    )


def test_what_nothing_depends_on_is_not_run():
    def init(key, start):
        def fail(_):
            raise AssertionError("the forward pass was run")

        shape = jax.ShapeDtypeStruct((2,), jnp.float32)
        x = jax.pure_callback(fail, shape, jax.random.normal(key, (2,)))
        return {"w": jax.random.normal(key, x.shape), "twice": 2 * start, "same": start, "step": 0}

    given = np.ones(3, np.float32)
    found = Fresh(init, KEY, given).values()
    np.testing.assert_array_equal(found["w"], jax.random.normal(KEY, (2,)))
    np.testing.assert_array_equal(found["twice"], [2, 2, 2])
    np.testing.assert_array_equal(found["same"], given)
    assert not np.shares_memory(found["same"], given) and found["step"] == 0


def test_equal_layers_are_compiled_once():
    class Same(nn.Module):
        layers: int

        @nn.compact
        def __call__(self, x):
            for _ in range(self.layers):
                x = nn.Dense(x.shape[-1])(x)
            return x

    def programs(layers: int) -> int:
        jax.clear_caches()
        heard = []
        jax.monitoring.register_event_duration_secs_listener(
            listener := lambda event, *_, **__: heard.append(event)
        )
        try:
            Fresh(Same(layers).init, KEY, jnp.zeros((1, 5))).values()
        finally:
            jax.monitoring.unregister_event_duration_listener(listener)
        return heard.count(_COMPILED)

    assert 0 < programs(9) == programs(2)


# The moments of the first share their zeros; the last has vectors of power iterations.
@pytest.mark.parametrize("system", ["gan_int_cls", "stack_gan_v2", "xmc_gan"])
def test_the_state_of_a_system(system):
    config = fields.resolve(f"{system}:debug", {"data.data_dir": "nowhere"}).config
    if config.encoder.name:
        config.encoder.source = "random"
    config.frozen = dict.fromkeys(config.frozen, "random")
    work = step_time.make_workload(config)
    args = work.system.recipe, work.options, work.batch, work.system.variables
    fresh = fresh_state(*args)
    state, again = fresh.values(), fresh_state(*args).values()
    assert fresh.shapes == jax.eval_shape(lambda: init_state(*args))
    jax.tree.map(np.testing.assert_array_equal, state, again)
    leaves = jax.tree.leaves(state)
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    places = [leaf.__array_interface__["data"][0] for leaf in leaves if leaf.size]
    assert len(set(places)) == len(places), "two leaves share memory: neither can be donated"
    drawn = [x.tobytes() for x in jax.tree.leaves(state.params) if np.unique(x).size > 8]
    assert len(set(drawn)) == len(drawn) > 4, "two layers have the same draws"
    averaged = jax.tree.leaves(state.ema["params"]["g"])
    jax.tree.map(np.testing.assert_array_equal, averaged, jax.tree.leaves(state.params["g"]))
