#!/usr/bin/env bash
# jax 0.10.2 on a CPU: the FLOPs that XLA counts for the gradient of a depthwise convolution's kernel
# depend on where they are asked for. Of the lowered program they are the forward pass's, of the
# compiled one about as many times more as there are channels. A utilization (MFU) or a plan made of
# the compiled count of MobileNet, EfficientNet or the like is wrong by that much. t2i_jax counts the
# lowered program. Ends with an error if the behaviour has changed.
set -euo pipefail
PLACE="$(mktemp -d)"
trap 'rm -rf "$PLACE"' EXIT
"${PYTHON:-python3}" -m venv "$PLACE/venv"
"$PLACE/venv/bin/python" -m pip install --quiet --only-binary :all: jax==0.10.2 jaxlib==0.10.2
JAX_PLATFORMS=cpu "$PLACE/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
from jax import lax

CHANNELS = 32
maps = jnp.ones((2, 8, 8, CHANNELS))
kernel = jnp.ones((3, 3, 1, CHANNELS))


def depthwise(x, k):
    names = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, k, (1, 1), "SAME", dimension_numbers=names, feature_group_count=CHANNELS
    )


def slope_of_kernel(x, k, dy):
    return jax.vjp(lambda k: depthwise(x, k), k)[1](dy)[0]


forward = jax.jit(depthwise).lower(maps, kernel).compile().cost_analysis()["flops"]
lowered = jax.jit(slope_of_kernel).lower(maps, kernel, maps)
counts = lowered.cost_analysis()["flops"], lowered.compile().cost_analysis()["flops"]
print("jax", jax.__version__, "forward", forward, "gradient (lowered, compiled)", counts)
assert counts[0] == forward, "changed"
assert counts[1] / counts[0] > 0.9 * CHANNELS, "changed"
print("as described")
PY
