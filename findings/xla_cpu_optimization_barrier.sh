#!/usr/bin/env bash
# jax 0.10.2 on a CPU: lax.optimization_barrier does not keep what stands before it out of the fusions
# behind it: XLA:CPU drops barriers before it fuses. Here a transpose that was to be stored once is
# read number by number, in the wrong order, by the sum that follows. Where an optimizer reads a
# transposed gradient so, it is slow, and a barrier does not help; the product has to be written so
# that its gradient comes in the right order. Ends with an error if the behaviour has changed.
set -euo pipefail
PLACE="$(mktemp -d)"
trap 'rm -rf "$PLACE"' EXIT
"${PYTHON:-python3}" -m venv "$PLACE/venv"
"$PLACE/venv/bin/python" -m pip install --quiet --only-binary :all: jax==0.10.2 jaxlib==0.10.2
JAX_PLATFORMS=cpu "$PLACE/venv/bin/python" - <<'PY'
import re

import jax
import jax.numpy as jnp
from jax import lax


def momentum(average, gradient):
    return 0.9 * average + 0.1 * lax.optimization_barrier(gradient.T)


lowered = jax.jit(momentum).lower(jnp.zeros((128, 64)), jnp.zeros((64, 128)))
text = lowered.compile().as_text()
fused = re.search(r"%fused_computation.*?\n}", text, re.S)[0]
print("jax", jax.__version__)
print("barriers: lowered", lowered.as_text().count("optimization_barrier"), end=", ")
print("compiled", len(re.findall(r"= \S+ opt-barrier", text)))
print("inside of the fusion:", sorted(set(re.findall(r" (transpose|multiply|add)\(", fused))))
assert lowered.as_text().count("optimization_barrier") == 1, "changed"
assert "opt-barrier" not in text, "changed"
assert "transpose(" in fused and "add(" in fused, "changed"
print("as described")
PY
