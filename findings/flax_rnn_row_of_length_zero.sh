#!/usr/bin/env bash
# flax 0.12.8, linen.RNN(..., return_carry=True) with seq_lengths, as text encoders use it.
#
# Surprise: a row of length 0, such as a caption without a known word, gets the state after all of
# its padding in place of the initial state.
# Seen: the returned carry of length 0 equals that of the whole padded row, not zeros.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet flax==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
JAX_PLATFORMS=cpu "$WORK/venv/bin/python" - <<'PY'
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

rnn = nn.RNN(nn.GRUCell(4), return_carry=True)
rows = jnp.ones((2, 5, 3))
variables = rnn.init(jax.random.key(0), rows)
carry, outputs = rnn.apply(variables, rows, seq_lengths=jnp.array([0, 5]))
print("length 0:", carry[0].tolist(), " length 5:", carry[1].tolist())
np.testing.assert_array_equal(carry[0], carry[1])
assert np.abs(carry[0]).max() > 0.01
PY
echo "as described"
