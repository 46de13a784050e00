#!/usr/bin/env bash
# jax 0.10.2 on a CPU: updates of a convolution's kernel take many times the CPU-seconds as a lax.scan
# of ten than as ten calls; the convolution alone takes the same in both. So train steps joined by a
# scan to save dispatches are slower, not faster. Ends with an error if the behaviour has changed.
set -euo pipefail
PLACE="$(mktemp -d)"
trap 'rm -rf "$PLACE"' EXIT
"${PYTHON:-python3}" -m venv "$PLACE/venv"
"$PLACE/venv/bin/python" -m pip install --quiet --only-binary :all: jax==0.10.2 jaxlib==0.10.2
JAX_PLATFORMS=cpu "$PLACE/venv/bin/python" - <<'PY'
import statistics
import time

import jax
import jax.numpy as jnp
from jax import lax

STEPS, ROUNDS = 10, 5
IMAGES, KERNEL = jnp.ones((8, 32, 32, 64)), jnp.full((3, 3, 64, 64), 1 / 600)
DIMS = ("NHWC", "HWIO", "NHWC")


def layer(x, kernel):
    return jnp.tanh(lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=DIMS))


def updated(kernel):
    return kernel - 1e-3 * jax.grad(lambda kernel: jnp.sum(layer(IMAGES, kernel)))(kernel)


def ratio(step, value):
    """CPU-seconds of a scan relative to as many calls."""
    once = jax.jit(step)
    scanned = jax.jit(lambda value: lax.scan(lambda v, _: (step(v), None), value, length=STEPS)[0])

    def calls(value):
        for _ in range(STEPS):
            value = once(value)
        return value

    def seconds(run):
        began = time.process_time()
        run(value).block_until_ready()
        return time.process_time() - began

    seconds(calls), seconds(scanned)  # which compile
    return statistics.median(seconds(scanned) / seconds(calls) for _ in range(ROUNDS))


forward = ratio(lambda x: layer(x, KERNEL), IMAGES)
update = ratio(updated, KERNEL)
print("jax", jax.__version__)
print(f"a scan relative to calls: convolution {forward:.1f}, update of its kernel {update:.0f}")
assert forward < 2, "changed"
assert update > 5, "changed"
print("as described")
PY
