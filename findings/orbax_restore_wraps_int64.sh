#!/usr/bin/env bash
# orbax-checkpoint 0.12.8 with jax 0.10.2, StandardCheckpointer: a count of images above 2^31, saved
# as a NumPy int64, is restored into a state of jax arrays, which are int32 by default.
#
# Surprise: the number wraps around to a negative one, without an error or a warning. A shape that
# differs is refused; a type that cannot hold the value is not.
# Seen: 3000000000 comes back as -1294967296; restored without a target it is 3000000000.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet orbax-checkpoint==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
JAX_PLATFORMS=cpu "$WORK/venv/bin/python" - "$WORK/state" <<'PY'
import sys
import warnings

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

saver = ocp.StandardCheckpointer()
saver.save(sys.argv[1], {"images": np.array([3_000_000_000])})
saver.wait_until_finished()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    into_jax = int(saver.restore(sys.argv[1], {"images": jnp.zeros(1, jnp.int32)})["images"][0])
of_overflow = [str(w.message) for w in caught if "overflow" in str(w.message).lower()]
as_saved = int(saver.restore(sys.argv[1])["images"][0])
print("into a jax state:", into_jax, " as saved:", as_saved, " warnings of it:", of_overflow)
assert into_jax == 3_000_000_000 - 2**32 and as_saved == 3_000_000_000 and not of_overflow
PY
echo "as described"
