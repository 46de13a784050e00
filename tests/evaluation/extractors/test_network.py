"""Extraction over devices and batches, with a small network."""

import devices
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from t2i_jax.evaluation.extractors import network
from t2i_jax.training.inputs import to_float
from t2i_jax.training.networks import Network


class Net(nn.Module):
    """Two layers of different width."""

    features: int = 5

    @nn.compact
    def __call__(self, images, train):
        x = nn.relu(nn.Conv(self.features, (3, 3), name="conv")(images))
        pooled = jnp.mean(x, axis=(1, 2))
        return {"pooled": pooled, "answers": nn.Dense(3, name="fc")(pooled)}


NET = Net()
VARIABLES = NET.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), False)
IMAGES = np.random.default_rng(0).integers(0, 256, (11, 12, 10, 3), np.uint8)
MIRRORED = network.Preprocessing("mirrored", to_float, lambda images: images[:, :, ::-1])


def made(batch_size=4, preprocessing=MIRRORED, module=NET, variables=VARIABLES):
    held = Network(module, variables)
    return network.extractor("net", "", held, preprocessing, lambda out: out, batch_size)


@pytest.fixture(scope="module")
def expected():
    return NET.apply(VARIABLES, IMAGES[:, :, ::-1] / np.float32(127.5) - 1, False)


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_neither_batches_nor_devices_change_vectors(monkeypatch, expected, count, batch_size):
    devices.use_devices(monkeypatch, count)
    one = made(batch_size)
    assert dict(one.widths) == {"pooled": 5, "answers": 3}
    found = one.extract(IMAGES)
    for layer, vectors in expected.items():
        assert found[layer].dtype == np.float32
        np.testing.assert_allclose(found[layer], vectors, rtol=1e-5, atol=1e-6)


def test_all_devices_take_rows():
    seen = []

    def record(images):
        seen.append({shard.device: shard.data.shape[0] for shard in images.addressable_shards})
        return to_float(images)

    way = network.Preprocessing("recorded", lambda x: record(x) if len(x) > 1 else to_float(x))
    made(batch_size=6, preprocessing=way).extract(IMAGES[:5])
    assert seen == [dict.fromkeys(jax.local_devices(), 2)]  # 5 of 6 rows, rounded up to 8


def test_a_digest_is_of_fields_weights_and_preprocessing():
    base = made()
    assert made(batch_size=7).digest == base.digest
    other = jax.tree.map(lambda x: x + 1, VARIABLES)
    plain = network.Preprocessing("plain", to_float)
    wide = Net(6)
    wider = wide.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), False)
    digests = {
        base.digest,
        made(variables=other).digest,
        made(preprocessing=plain).digest,
        made(module=wide, variables=wider).digest,
    }
    assert len(digests) == 4
