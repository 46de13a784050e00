"""FLOPs of convolutions that a CPU computes with fewer, against the closed form."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from test_benchmark import BATCH, SIDE, DenseNet, workload

from t2i_jax.models.conv import conv
from t2i_jax.profiling import step_time

CHANNELS = 128


class ConvNet(nn.Module):
    """Two convolutions, of which the second takes minimal filtering on CPUs."""

    @nn.compact
    def __call__(self, images):
        x = images
        for i in range(2):
            shape = 3, 3, x.shape[-1], CHANNELS
            x = conv(x, self.param(f"kernel{i}", nn.initializers.normal(), shape))
        return jnp.mean(x, (1, 2, 3))


@pytest.mark.parametrize("layout", ["jit", "pmap"])
def test_forms_of_this_processes_devices_do_not_count(layout):
    work = workload(DenseNet(net=ConvNet(), active=frozenset({"net.one"})))
    work.system.config.parallel = layout
    ready = step_time.prepare(work)
    met = 2 * BATCH * (3 * SIDE - 2) ** 2  # products a pair of channels, without the padding's
    # Results and kernels' gradients of both, the input's gradient of the second.
    products = met * CHANNELS * (2 * 3 + 3 * CHANNELS)
    assert products < ready.flops < 1.05 * products
    on_cpus = jax.jit(lambda x, k: conv(x, k)).lower(
        *(jnp.zeros(s) for s in ((BATCH, SIDE, SIDE, CHANNELS), (3, 3, CHANNELS, CHANNELS)))
    )
    assert on_cpus.cost_analysis()["flops"] < 0.8 * met * CHANNELS**2
