#!/usr/bin/env bash
# flax 0.12.8, flax.serialization.from_bytes(target, data): how checkpoints of many JAX GANs are
# read, XMC-GAN's release among them.
#
# Surprise: only names are compared. An array of another shape replaces the target's. apply() checks
# the shapes of parameters afterwards, but not those of running statistics: the network runs with
# one number for all channels.
# Seen: a kernel (5, 7) restored into a target of (3, 4) comes back as (5, 7); a running mean (1,) of
# 3 takes the place of one of (4,), and all four channels are shifted by it.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet flax==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
JAX_PLATFORMS=cpu "$WORK/venv/bin/python" - <<'PY'
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import serialization

kernel = serialization.from_bytes(
    {"kernel": jnp.zeros((3, 4))}, serialization.to_bytes({"kernel": jnp.ones((5, 7))})
)["kernel"]
layer, x = nn.BatchNorm(use_running_average=True), jnp.zeros((2, 4))
target = layer.init(jax.random.key(0), x)
other = {**target, "batch_stats": {**target["batch_stats"], "mean": jnp.full(1, 3.0)}}
restored = serialization.from_bytes(target, serialization.to_bytes(other))
mean, outputs = restored["batch_stats"]["mean"], layer.apply(restored, x)
print("kernel:", kernel.shape, " mean:", mean.shape, " outputs:", outputs.round(2).tolist())
assert (kernel.shape, mean.shape) == ((5, 7), (1,))
assert abs(outputs + 3.0).max() < 1e-3
PY
echo "as described"
