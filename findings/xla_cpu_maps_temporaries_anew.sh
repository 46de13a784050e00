#!/usr/bin/env bash
# jax 0.10.2 on a CPU under Linux with glibc: the temporary arrays of a compiled function are one
# block that is given back to the kernel when a call ends, so that every call maps and clears all of
# its pages anew, 4 KB each. With settings of glibc's malloc that keep what is freed the pages are
# there from the second call on. Ends with an error if the behaviour has changed.
set -euo pipefail
PLACE="$(mktemp -d)"
trap 'rm -rf "$PLACE"' EXIT
"${PYTHON:-python3}" -m venv "$PLACE/venv"
"$PLACE/venv/bin/python" -m pip install --quiet --only-binary :all: jax==0.10.2 jaxlib==0.10.2
cat > "$PLACE/faults.py" <<'PY'
import resource
import sys

import jax
import jax.numpy as jnp


def layers(x, kernel):
    for _ in range(8):
        x = jnp.tanh(x @ kernel)
    return jnp.sum(x)


x, kernel = jnp.ones((16384, 256)), jnp.ones((256, 256)) / 256
compiled = jax.jit(jax.grad(layers)).lower(x, kernel).compile()
pages = compiled.memory_analysis().temp_size_in_bytes // 4096
for _ in range(3):
    compiled(x, kernel).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    compiled(x, kernel).block_until_ready()
faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10
print(f"{sys.argv[1]}: temporaries of {pages:,} pages, {faults:,.0f} page faults a call")
assert faults > 0.9 * pages if sys.argv[1] == "as it is" else faults < 0.1 * pages, "changed"
PY
export JAX_PLATFORMS=cpu
"$PLACE/venv/bin/python" -c 'import jax; print("jax", jax.__version__)'
"$PLACE/venv/bin/python" "$PLACE/faults.py" "as it is"
GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=9999999999 \
    "$PLACE/venv/bin/python" "$PLACE/faults.py" "kept"
echo "as described"
