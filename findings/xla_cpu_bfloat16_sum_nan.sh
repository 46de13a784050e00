#!/usr/bin/env bash
# jaxlib 0.12.0.1 on a CPU: a compiled residual block in bfloat16 whose result is summed over its
# positions gives NaN for finite numbers. The same function gives finite numbers without jit, in
# float32, and under jit in jaxlib 0.10.2. Whoever trains or tests in bfloat16 on CPUs with this
# jaxlib gets a loss of NaN that no accelerator shows. t2i_jax stops such a training and names the
# term; its test of networks in bfloat16 is skipped where a small block shows the fault.
# It needs Python 3.12 or newer (PYTHON names one), since jax 0.12 does. Ends with an error if the
# behaviour has changed.
set -euo pipefail
PLACE="$(mktemp -d)"
trap 'rm -rf "$PLACE"' EXIT
"${PYTHON:-python3}" -m venv "$PLACE/venv"
"$PLACE/venv/bin/python" -m pip install --quiet --only-binary :all: jax==0.12.0.1 jaxlib==0.12.0.1
JAX_PLATFORMS=cpu "$PLACE/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

rng = np.random.default_rng(0)
block_input = rng.normal(size=(4, 4, 4, 64)) / 20
kernel, bias = rng.normal(size=(3, 3, 64, 64)) / 20, rng.normal(size=64) / 20


def pooled(dtype):
    x, k, b = (jnp.asarray(value, dtype) for value in (block_input, kernel, bias))

    def layer(y):
        pads = ((1, 1), (1, 1))
        names = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(jax.nn.relu(y), k, (1, 1), pads, dimension_numbers=names) + b

    def block(x):
        return jnp.sum(x + layer(layer(x)), axis=(1, 2))

    return [int(np.isnan(run(x)).sum()) for run in (jax.jit(block), block)]


found = {name: pooled(getattr(jnp, name)) for name in ("bfloat16", "float32")}
print("jax", jax.__version__, "NaN of 256 values, [compiled, op by op]:", found)
assert found["bfloat16"][0] > 0 and found["bfloat16"][1] == 0, "changed"
assert found["float32"] == [0, 0], "changed"
print("as described")
PY
