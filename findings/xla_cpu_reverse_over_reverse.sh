#!/usr/bin/env bash
# jax 0.10.2 on the CPU, gradient penalties of convolutional critics.
#
# Surprise: the gradient of a gradient penalty taken by jax.grad of jax.grad is many times slower
# than the same numbers by one forward derivative of jax.grad along a constant direction, although
# XLA counts no more floating-point operations in the slow program.
# Seen: 0.38 against 0.03 CPU seconds, with 2.97 against 3.2 GFLOP.
# Fails if the numbers differ, if the slow form has more FLOPs, or if it takes less than 3 times as
# long.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
JAX_PLATFORMS=cpu "$WORK/venv/bin/python" - <<'PY'
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

widths = [3, 32, 64, 128, 256]
keys = jax.random.split(jax.random.key(0), len(widths))
kernels = [
    jax.random.normal(k, (4, 4, a, b)) / np.sqrt(16 * a)
    for k, a, b in zip(keys, widths, widths[1:])
]
images = jax.random.normal(keys[-1], (4, 128, 128, 3))
layout = ("NHWC", "HWIO", "NHWC")


def critic(kernels, x):
    for kernel in kernels:
        x = lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=layout)
        x = jax.nn.leaky_relu(x, 0.2)
    return x.sum()


def penalty(slope):
    return (slope**2).sum() / 2


def reverse_over_reverse(kernels):
    return penalty(jax.grad(critic, 1)(kernels, images))


def reverse_over_forward(kernels):
    slope = lax.stop_gradient(jax.grad(critic, 1)(kernels, images))
    along = jax.grad(penalty)(slope)
    _, change = jax.jvp(lambda x: critic(kernels, x), (images,), (along,))
    return penalty(slope) + change - lax.stop_gradient(change)


times, flops, values = {}, {}, {}
calls = {
    f.__name__: jax.jit(jax.value_and_grad(f)).lower(kernels).compile()
    for f in (reverse_over_reverse, reverse_over_forward)
}
for name, call in calls.items():
    values[name] = jax.block_until_ready(call(kernels))
    flops[name] = call.cost_analysis()["flops"]
for name, call in list(calls.items()) * 5:
    start = time.process_time()
    jax.block_until_ready(call(kernels))
    times.setdefault(name, []).append(time.process_time() - start)
slow, fast = (np.median(times[name]) for name in calls)
for a, b in zip(*map(jax.tree.leaves, values.values())):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * float(jnp.abs(b).max()))
print(f"jax {jax.__version__}: CPU seconds {slow:.2f} and {fast:.2f}, ratio {slow / fast:.1f}")
print("GFLOP:", {name: round(count / 1e9, 2) for name, count in flops.items()})
of_slow, of_fast = flops.values()
assert of_slow < 1.05 * of_fast, "the slow form has more operations now"
assert slow > 3 * fast, "reverse over reverse is no longer the slow form"
PY
echo "as described"
