#!/usr/bin/env bash
# orbax-checkpoint 0.12.8, PyTreeCheckpointer: a tree with a leaf "a.b" beside a leaf "b" under "a".
# Names with dots are what PyTorch's state dicts have.
#
# Surprise: both are kept under one name, so both come back with the values of one of them. Saving
# and restoring raise nothing.
# Seen: "a.b", saved as zeros, comes back as ones, the values of "a" -> "b".
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet orbax-checkpoint==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
JAX_PLATFORMS=cpu "$WORK/venv/bin/python" - "$WORK/state" <<'PY'
import sys

import jax.numpy as jnp
import orbax.checkpoint as ocp

saver = ocp.PyTreeCheckpointer()
saver.save(sys.argv[1], {"a.b": jnp.zeros(2), "a": {"b": jnp.ones(2)}})
back = saver.restore(sys.argv[1])
dotted, nested = back["a.b"].tolist(), back["a"]["b"].tolist()
print("a.b:", dotted, " a -> b:", nested)
assert dotted == nested, (dotted, nested)
PY
echo "as described"
