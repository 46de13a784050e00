#!/usr/bin/env bash
# jax 0.10.2 on a CPU: jax.checkpoint computes a forward pass again and yet holds no less memory. The
# barrier by which it keeps the second pass until it is needed is dropped by one of XLA:CPU's passes,
# cse_barrier_expander; with that pass switched off, by a compiler option, temporaries fall to a
# third. Ends with an error if the behaviour has changed.
set -euo pipefail
PLACE="$(mktemp -d)"
trap 'rm -rf "$PLACE"' EXIT
"${PYTHON:-python3}" -m venv "$PLACE/venv"
"$PLACE/venv/bin/python" -m pip install --quiet --only-binary :all: jax==0.10.2 jaxlib==0.10.2
JAX_PLATFORMS=cpu "$PLACE/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp

ROWS, WIDTH = 4096, 256
OPTIONS = {"xla_disable_hlo_passes": "cse_barrier_expander"}


def eight_layers(x, kernel):
    for _ in range(8):
        x = jnp.tanh(x @ kernel)
    return x


def temporaries(layers, options=None):
    """MB of the gradient of 32 layers, eight at a time."""

    def total(kernel, x):
        for _ in range(4):
            x = layers(x, kernel)
        return jnp.sum(x)

    kernel = jax.ShapeDtypeStruct((WIDTH, WIDTH), jnp.float32)
    x = jax.ShapeDtypeStruct((ROWS, WIDTH), jnp.float32)
    compiled = jax.jit(jax.grad(total)).lower(kernel, x).compile(options)
    return compiled.memory_analysis().temp_size_in_bytes / 1e6


plain, again = temporaries(eight_layers), temporaries(jax.checkpoint(eight_layers))
kept = temporaries(jax.checkpoint(eight_layers), OPTIONS)
print("jax", jax.__version__)
print(f"temporaries: {plain:.0f} MB, checkpointed {again:.0f} MB, with the option {kept:.0f} MB")
assert again > plain, "changed"
assert kept < 0.4 * plain, "changed"
print("as described")
PY
