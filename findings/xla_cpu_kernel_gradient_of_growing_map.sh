#!/usr/bin/env bash
# jax 0.10.2 on a CPU: where padding makes a convolution's result larger than its map, the kernel's
# gradient takes 10 to 40 times the CPU-seconds of one that keeps the map's size, at about the same
# FLOPs; the result itself does not. Upsampling folded into convolutions of 2x2 pads so. A matrix
# product for each tap gives the same gradient quickly. Ends with an error if the behaviour has
# changed.
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

SIDE, CHANNELS, ROUNDS = 32, 64, 5
MAP = jax.random.normal(jax.random.key(0), (1, SIDE, SIDE, CHANNELS))
DIMS = ("NHWC", "HWIO", "NHWC")


def layer(x, kernel, padding):
    sides = ((padding, padding),) * 2
    return lax.conv_general_dilated(x, kernel, (1, 1), sides, dimension_numbers=DIMS)


def gradient_by_taps(size, padding):
    def gradient(x, dy):
        x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
        h, w = dy.shape[1:3]
        flat = dy.reshape(-1, CHANNELS)
        taps = [x[:, i : i + h, j : j + w] for i in range(size) for j in range(size)]
        products = [tap.reshape(-1, CHANNELS).T @ flat for tap in taps]
        return jnp.stack(products).reshape(size, size, CHANNELS, CHANNELS)

    return gradient


def measured(call, *args):
    """(CPU-milliseconds, result)"""
    call = jax.jit(call)
    result = call(*args).block_until_ready()
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        call(*args).block_until_ready()
        times.append(time.process_time() - began)
    return 1e3 * statistics.median(times), result


print("jax", jax.__version__)
milliseconds = {}
for size, padding in ((3, 1), (2, 1), (3, 2)):
    kernel = jnp.ones((size, size, CHANNELS, CHANNELS))
    forward, y = measured(lambda x, k: layer(x, k, padding), MAP, kernel)
    dy = jax.random.normal(jax.random.key(1), y.shape)
    pull = lambda x, dy: jax.linear_transpose(lambda k: layer(x, k, padding), kernel)(dy)[0]
    own, expected = measured(pull, MAP, dy)
    taps, found = measured(gradient_by_taps(size, padding), MAP, dy)
    milliseconds[size, padding] = forward, own, taps
    difference = float(jnp.max(jnp.abs(found - expected)) / jnp.max(jnp.abs(expected)))
    print(f"{size}x{size}, padding {padding}, {SIDE} -> {y.shape[1]} px:", end=" ")
    print(f"result {forward:.1f} ms, kernel's gradient {own:.1f} ms,", end=" ")
    print(f"by taps {taps:.1f} ms, {difference:.0e} apart")
    assert difference < 1e-4, "changed"
usual = milliseconds[3, 1]
for case in ((2, 1), (3, 2)):
    forward, own, taps = milliseconds[case]
    assert own > 5 * usual[1] and own > 5 * taps, "changed"
    assert forward < 3 * usual[0], "changed"
print("as described")
PY
